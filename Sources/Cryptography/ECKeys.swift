public import Bytes

/// A point that is on its curve and not at infinity.
public struct ECPublicKey<Curve: EllipticCurve>: Hashable, Sendable {
  /// `04 || X || Y` (SEC 1 section 2.3.3), each coordinate big-endian: 97 bytes for P-384.
  public let bytes: [UInt8]

  /// - Parameter bytes: `04 || X || Y`. Nil when it has another length or form, or is not on the
  ///   curve; the caller names the field it refuses.
  /// - Throws: `INTERNAL-CRYPTOGRAPHY` when libcrypto fails, which no bytes can cause.
  public init?(_ bytes: [UInt8]) throws(MigrationError) {
    let group = try CurveGroup.of(Curve.parameters)
    guard try group.point(bytes) != nil else { return nil }
    self.bytes = bytes
  }

  init(trusted bytes: [UInt8]) {
    self.bytes = bytes
  }
}

/// A scalar from 1 to the order less 1, and the point that belongs to it. Wiped when dropped.
public struct ECPrivateKey<Curve: EllipticCurve>: ~Copyable, Sendable {
  let scalar: BigNumber
  public let publicKey: ECPublicKey<Curve>

  /// - Parameter scalar: big-endian, exactly as long as the order: 48 bytes for P-384. Nil when it
  ///   has another length or is out of range; the caller names the field it refuses.
  /// - Throws: `INTERNAL-CRYPTOGRAPHY` when libcrypto fails, which no bytes can cause.
  public init?(scalar bytes: [UInt8]) throws(MigrationError) {
    guard bytes.count == Curve.parameters.fieldSize else { return nil }
    let group = try CurveGroup.of(Curve.parameters)
    let scalar = try BigNumber(bigEndian: bytes.span)
    guard group.isValid(scalar) else { return nil }
    let point = try group.basePoint(times: scalar)
    publicKey = ECPublicKey(trusted: try group.bytes(of: point))
    self.scalar = scalar
  }

  /// `DeriveKeyPair` of RFC 9180 section 7.1.3 for this curve's DHKEM.
  ///
  /// - Parameter keyingMaterial: secret, with at least as much entropy as the scalar is long.
  /// - Throws: `INTERNAL-CRYPTOGRAPHY` when libcrypto fails, or no candidate is in range (the RFC's
  ///   DeriveKeyPairError; never seen).
  public init(derivingFrom keyingMaterial: [UInt8]) throws(MigrationError) {
    let labels = LabeledHKDF(kem: .of(Curve.self))
    var secret = try labels.extract("dkp_prk", keyingMaterial, salt: [])
    defer { wipe(&secret) }
    for counter in UInt8.min...UInt8.max {
      var candidate = try labels.expand(
        "candidate", secret, info: [counter], count: Curve.parameters.fieldSize)
      defer { wipe(&candidate) }
      candidate[0] &= Curve.parameters.topByteMask
      if let key = try Self(scalar: candidate) {
        self = key
        return
      }
    }
    throw MigrationError(.cryptography, "no candidate is a private key")
  }

  /// The scalar, big-endian, to store it: 48 bytes for P-384. The caller wipes what it gets.
  public func exportScalar() throws(MigrationError) -> [UInt8] {
    try scalar.bytes(Curve.parameters.fieldSize)
  }

  /// ECDH (SP 800-56A section 5.7.1.2): the x coordinate of the common point, big-endian, 48 bytes
  /// for P-384. The caller wipes what it gets.
  ///
  /// - Throws: `INTERNAL-CRYPTOGRAPHY` when libcrypto fails.
  public func sharedSecret(
    with peer: ECPublicKey<Curve>
  ) throws(MigrationError) -> [UInt8] {
    let group = try CurveGroup.of(Curve.parameters)
    // The group's order is prime and the peer's point on the curve, so no scalar in range can give
    // the point at infinity.
    guard let point = try group.point(peer.bytes),
      let x = try group.x(of: group.multiply(point, by: scalar))
    else { throw MigrationError(.cryptography, "the common point is at infinity") }
    return try x.bytes(Curve.parameters.fieldSize)
  }
}

extension CurveParameters {
  /// RFC 9180 section 7.1.3, "bitmask": the bits of a scalar's first byte that can be set.
  var topByteMask: UInt8 { name == .p521 ? 0x01 : 0xff }
}
