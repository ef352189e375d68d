/// Hybrid public key encryption (RFC 9180), base mode.
public enum HPKE {}
