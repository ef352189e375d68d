internal import Errors
package import Wire

/// The algorithms of one migration, by their registered identifiers.
///
/// The offer and the session both name them, and the transcript covers both, so that neither the
/// version nor an algorithm can be downgraded unnoticed. Source: RFC 9180, sections 7.1 to 7.3.
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

  /// The layout of a suite in offers and sessions.
  package struct Layout: WireRecord {
    /// Version of the migration protocol: 1.
    package var version: BE16
    /// 0x0011.
    package var kem: BE16
    /// 0x0002.
    package var kdf: BE16
    /// 0x0002.
    package var aead: BE16
  }

  /// - Parameters:
  ///   - record: the suite, which must be `v1`.
  ///   - start: where the record begins in the stream or file.
  init(
    _ record: Layout, at start: UInt64, versionCode: ErrorCode, suiteCode: ErrorCode
  ) throws(MigrationError) {
    self.init(
      version: record.version.value, kem: record.kem.value, kdf: record.kdf.value,
      aead: record.aead.value)
    guard version == Self.v1.version else {
      throw MigrationError(
        versionCode, "unknown protocol version", at: Layout.offset(of: \.version, from: start),
        expected: "\(Self.v1.version)", got: "\(version)")
    }
    guard self == .v1 else {
      throw MigrationError(
        suiteCode, "unknown algorithm suite", at: Layout.offset(of: \.kem, from: start),
        expected: Self.v1.description, got: description)
    }
  }

  var record: Layout {
    Layout(version: BE16(version), kem: BE16(kem), kdf: BE16(kdf), aead: BE16(aead))
  }
}

extension ProtocolSuite: CustomStringConvertible {
  package var description: String {
    "kem \(Hex.number(kem)) kdf \(Hex.number(kdf)) aead \(Hex.number(aead))"
  }
}

/// Flags of an offer or a session.
package struct ProtocolFlags: OptionSet, Sendable, Hashable {
  package var rawValue: UInt32
  package init(rawValue: UInt32) { self.rawValue = rawValue }

  /// The source proves itself to the destination.
  package static let mutual = ProtocolFlags(rawValue: 1 << 0)
  /// Keys come from a seed that others may know: they are reproducible and not secret.
  package static let seeded = ProtocolFlags(rawValue: 1 << 1)

  /// - Parameters:
  ///   - field: the flags, of which only `known` may be set.
  ///   - offset: where the field is in the stream or file.
  init(
    _ field: BE32, known: ProtocolFlags, at offset: UInt64, code: ErrorCode,
    refuse: MigrationError.Refusal = MigrationError.refuse
  ) throws(MigrationError) {
    self.init(rawValue: field.value)
    if !isSubset(of: known) {
      try refuse(
        MigrationError(
          code, "unknown flags", at: offset,
          expected: "at most \(Hex.number(known.rawValue))",
          got: Hex.number(rawValue)))
    }
  }
}
