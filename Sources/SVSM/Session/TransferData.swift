internal import Cryptography
package import Errors
package import Wire

/// What a source SVSM sends once it has validated an offer: the transport key, encrypted to the
/// destination, and the source's own proof. The payload of the section `snp-session`.
///
/// Source: "SEV-SNP Live Migration and VMM/KVM API Implications" (AMD, 2023), initiation; the proof
/// of the source is our addition and closes the fake-source threat.
package struct TransferData: Sendable, Hashable {
  /// The fixed part, big-endian; the evidence follows.
  ///
  ///     offset  size  field
  ///          0     2  version             1
  ///          2     2  kem                 0x0011
  ///          4     2  kdf                 0x0002
  ///          6     2  aead                0x0002
  ///          8     4  flags               bit 0: mutual, bit 1: seeded
  ///         12     4  reserved            zero
  ///         16    48  offer_digest        SHA-384 of the offer file
  ///         64    97  encapsulated_key    HPKE enc: P-384, uncompressed point
  ///        161    48  wrapped_key         HPKE ciphertext of the 32-byte transport key
  ///        209    97  source_key          the source's public key, P-384, uncompressed point
  ///        306     2  reserved_2          zero
  ///        308     4  report_length       1184, or 0 when not mutual
  ///        312     4  certificates_length 1 to 16384, or 0 when not mutual
  package static let layout = RecordLayout(
    "session",
    [
      "version": 2, "kem": 2, "kdf": 2, "aead": 2, "flags": 4, "reserved": 4, "offer_digest": 48,
      "encapsulated_key": 97, "wrapped_key": 48, "source_key": 97, "reserved_2": 2,
      "report_length": 4, "certificates_length": 4,
    ])

  /// Bytes that the source's REPORT_DATA binds: all up to and with `reserved_2`.
  static let boundSize = 308
  /// Bytes the payload may have.
  package static let maximumSize = 316 + 1184 + MigrationData.maximumCertificates

  /// The payload's bytes.
  package let encoded: [UInt8]
  package let suite: ProtocolSuite
  package let flags: ProtocolFlags
  /// SHA-384 of the offer answered: 48 bytes.
  package let offerDigest: [UInt8]
  /// HPKE encapsulated key: 97 bytes.
  package let encapsulatedKey: [UInt8]
  /// HPKE ciphertext of the transport key: 48 bytes.
  package let wrappedKey: [UInt8]
  /// The source's public key: 97 bytes.
  package let sourceKey: [UInt8]
  /// The source's attestation report, 1184 bytes; empty when not mutual.
  package let report: [UInt8]
  /// GHCB certificate table; empty when not mutual.
  package let certificates: [UInt8]

  /// How many bytes follow the 316 fixed ones.
  /// - Throws: `SESSION-VERSION`, `SESSION-SUITE`; `SESSION-SYNTAX` when the lengths are
  ///   impossible.
  package static func evidenceSize(
    fixedPart: Span<UInt8>, at offset: UInt64
  ) throws(MigrationError) -> Int {
    var cursor = ByteCursor(fixedPart, at: offset)
    _ = try ProtocolSuite(
      from: &cursor, versionCode: .sessionVersion, suiteCode: .sessionSuite)
    let flags = ProtocolFlags(rawValue: try cursor.read())
    _ = try cursor.take(boundSize - 12)
    let report = try cursor.read(UInt32.self)
    let certificates = try cursor.read(UInt32.self)
    let isPossible =
      flags.contains(.mutual)
      ? report == 1184 && certificates > 0 && certificates <= MigrationData.maximumCertificates
      : report == 0 && certificates == 0
    guard isPossible else {
      throw MigrationError(
        .sessionSyntax, "impossible lengths of report or certificates",
        at: offset + UInt64(boundSize),
        expected: flags.contains(.mutual)
          ? "1184 and 1 to \(MigrationData.maximumCertificates)" : "0 and 0: not mutual",
        got: "\(report) and \(certificates)")
    }
    return Int(report + certificates)
  }

  /// Decodes a whole payload. Nothing is verified yet.
  /// - Parameters:
  ///   - offset: where the payload begins in the stream.
  ///   - refuse: takes what breaks a rule and leaves the fields readable.
  /// - Throws: `SESSION-SYNTAX`, `SESSION-VERSION`, `SESSION-SUITE`, `SECTION-RESERVED`.
  package init(
    _ bytes: [UInt8], at offset: UInt64, refuse: MigrationError.Refusal = MigrationError.refuse
  ) throws(MigrationError) {
    let span = bytes.span
    var cursor = ByteCursor(span, at: offset)
    suite = try ProtocolSuite(
      from: &cursor, versionCode: .sessionVersion, suiteCode: .sessionSuite)
    flags = try ProtocolFlags(
      from: &cursor, known: [.mutual, .seeded], code: .sessionSyntax, refuse: refuse)
    let reserved = try cursor.read(UInt32.self)
    offerDigest = try cursor.takeArray(48)
    encapsulatedKey = try cursor.takeArray(97)
    wrappedKey = try cursor.takeArray(48)
    sourceKey = try cursor.takeArray(97)
    let reserved2 = try cursor.read(UInt16.self)
    if reserved != 0 || reserved2 != 0 {
      try refuse(
        MigrationError(
          .sectionReserved, "reserved bytes are not zero", at: offset + (reserved == 0 ? 306 : 12),
          expected: "0", got: "\(reserved == 0 ? UInt32(reserved2) : reserved)"))
    }
    let size = try Self.evidenceSize(fixedPart: span, at: offset)
    let reportLength = Int(try cursor.read(UInt32.self))
    _ = try cursor.read(UInt32.self)
    guard cursor.remaining == size else {
      throw MigrationError(
        .sessionSyntax, "session payload has another length", at: offset, expected: "\(size)",
        got: "\(cursor.remaining)")
    }
    report = try cursor.takeArray(reportLength)
    certificates = try cursor.takeArray(size - reportLength)
    encoded = bytes
  }

  /// The bytes up to and with `reserved_2`.
  package static func bound(
    flags: ProtocolFlags, offerDigest: [UInt8], encapsulatedKey: [UInt8], wrappedKey: [UInt8],
    sourceKey: [UInt8]
  ) -> [UInt8] {
    var bytes = wrapInfo(flags: flags, offerDigest: offerDigest)
    bytes += encapsulatedKey + wrappedKey + sourceKey
    bytes.append(bigEndian: UInt16(0))
    return bytes
  }

  /// The bytes before the encapsulated key: what the key wrap binds as HPKE `info`, after its label.
  package static func wrapInfo(flags: ProtocolFlags, offerDigest: [UInt8]) -> [UInt8] {
    var bytes: [UInt8] = []
    ProtocolSuite.v1.encode(to: &bytes)
    bytes.append(bigEndian: flags.rawValue)
    bytes.append(bigEndian: UInt32(0))
    return bytes + offerDigest
  }

  /// Composes a payload; report and certificates are empty when it is not mutual.
  package init(bound: [UInt8], report: [UInt8], certificates: [UInt8]) throws(MigrationError) {
    var bytes = bound
    bytes.append(bigEndian: UInt32(truncatingIfNeeded: report.count))
    bytes.append(bigEndian: UInt32(truncatingIfNeeded: certificates.count))
    try self.init(bytes + report + certificates, at: 0)
  }

  /// Whether the session answers `offer`.
  /// - Parameter offset: where the transfer data begins in the stream.
  /// - Throws: `SESSION-RECIPIENT`.
  package func requireAnswer(to offer: MigrationData, at offset: UInt64) throws(MigrationError) {
    let digest = try offer.digest()
    guard offerDigest == digest else {
      throw MigrationError(
        .sessionRecipient, "stream is for another destination", in: .session,
        at: offset + 16, expected: "offer \(Hex.encode(digest.prefix(8)))…",
        got: "\(Hex.encode(offerDigest.prefix(8)))…")
    }
  }

  /// The refusal of a session whose transport key does not unwrap.
  /// - Parameter offset: where the transfer data begins in the stream.
  package static func unwrapError(at offset: UInt64) -> MigrationError {
    MigrationError(
      .sessionKey, "transport key does not unwrap", in: .session, at: offset + 64)
  }

  /// The REPORT_DATA the source's report must carry: 64 bytes. It binds the offer, the wrapped
  /// key and the source's own key.
  package func expectedReportData() throws(MigrationError) -> [UInt8] {
    try SHA512.hash(Label.sourceReport + encoded.prefix(Self.boundSize))
  }
}
