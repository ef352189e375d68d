internal import Errors
internal import Wire

/// The algorithms of one migration, by their registered identifiers.
///
/// Offer and session both name them, and both are in the transcript, so that neither version nor
/// algorithm can be lowered unseen. Source: RFC 9180, sections 7.1 to 7.3.
package struct ProtocolSuite: Sendable, Hashable {
  /// Version of the migration protocol.
  package var version: UInt16
  /// HPKE key encapsulation: 0x0011 is DHKEM(P-384, HKDF-SHA384).
  package var kem: UInt16
  /// HPKE key derivation: 0x0002 is HKDF-SHA384.
  package var kdf: UInt16
  /// AEAD of the key wrap and of every record: 0x0002 is AES-256-GCM.
  package var aead: UInt16

  /// The one suite of version 1.
  package static let v1 = ProtocolSuite(version: 1, kem: 0x0011, kdf: 0x0002, aead: 0x0002)

  init(version: UInt16, kem: UInt16, kdf: UInt16, aead: UInt16) {
    self.version = version
    self.kem = kem
    self.kdf = kdf
    self.aead = aead
  }

  /// Reads the four identifiers, which must be those of `v1`.
  init(
    from cursor: inout ByteCursor, versionCode: ErrorCode, suiteCode: ErrorCode
  ) throws(MigrationError) {
    let start = cursor.offset
    let version = try cursor.read(UInt16.self)
    guard version == Self.v1.version else {
      throw MigrationError(
        versionCode, "unknown protocol version", at: start, expected: "\(Self.v1.version)",
        got: "\(version)")
    }
    self.init(
      version: version, kem: try cursor.read(), kdf: try cursor.read(), aead: try cursor.read())
    guard self == .v1 else {
      throw MigrationError(
        suiteCode, "unknown algorithm suite", at: start + 2, expected: Self.v1.description,
        got: description)
    }
  }

  func encode(to bytes: inout [UInt8]) {
    bytes.append(bigEndian: version)
    bytes.append(bigEndian: kem)
    bytes.append(bigEndian: kdf)
    bytes.append(bigEndian: aead)
  }
}

extension ProtocolSuite: CustomStringConvertible {
  package var description: String {
    "kem 0x\(String(kem, radix: 16)) kdf 0x\(String(kdf, radix: 16)) aead 0x\(String(aead, radix: 16))"
  }
}

/// What offer and session say of themselves beyond their suite.
package struct ProtocolFlags: OptionSet, Sendable, Hashable {
  package var rawValue: UInt32
  package init(rawValue: UInt32) { self.rawValue = rawValue }

  /// The source proves itself to the destination.
  package static let mutual = ProtocolFlags(rawValue: 1 << 0)
  /// Keys come from a seed that others may know: reproducible, and secret to nobody.
  package static let seeded = ProtocolFlags(rawValue: 1 << 1)

  /// Reads flags of which only `known` may be set.
  init(
    from cursor: inout ByteCursor, known: ProtocolFlags, code: ErrorCode,
    refuse: MigrationError.Refusal = MigrationError.refuse
  ) throws(MigrationError) {
    let start = cursor.offset
    self.init(rawValue: try cursor.read())
    if !isSubset(of: known) {
      try refuse(
        MigrationError(
          code, "unknown flags", at: start,
          expected: "at most 0x\(String(known.rawValue, radix: 16))",
          got: "0x\(String(rawValue, radix: 16))"))
    }
  }
}
