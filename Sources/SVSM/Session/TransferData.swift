internal import Cryptography
package import Errors
internal import SEVSNP
package import Wire

/// What a source SVSM sends once it has validated an offer: the transport key, encrypted to the
/// destination, and the source's own proof. It is the payload of the section `snp-session`.
///
/// Source: "SEV-SNP Live Migration and VMM/KVM API Implications" (AMD, 2023), initiation. The proof
/// of the source is an addition of this project, against the threat of a fake source.
package struct TransferData: Sendable, Hashable {
  /// The fixed part; the evidence follows. The source's REPORT_DATA binds all fields before the
  /// lengths. The key wrap binds the fields before the encapsulated key as HPKE `info`, after its
  /// label.
  package struct Layout: WireRecord {
    package static let name = "session"

    package var suite: ProtocolSuite.Layout
    /// Bit 0: mutual, bit 1: seeded.
    package var flags: BE32
    /// Zero.
    package var reserved: BE32
    /// SHA-384 of the offer file.
    package var offerDigest: WireBytes<48>
    /// HPKE enc: P-384, uncompressed point.
    package var encapsulatedKey: WireBytes<97>
    /// HPKE ciphertext of the 32-byte transport key.
    package var wrappedKey: WireBytes<48>
    /// The source's public key, P-384, uncompressed point.
    package var sourceKey: WireBytes<97>
    /// Zero.
    package var reserved2: BE16
    /// 1184, or 0 when not mutual.
    package var reportLength: BE32
    /// 1 to 16384, or 0 when not mutual.
    package var certificatesLength: BE32
  }

  /// Largest size of the payload in bytes.
  package static let maximumSize =
    Layout.size + AttestationReport.Layout.size + MigrationData.maximumCertificates

  /// The payload's bytes.
  package let encoded: [UInt8]
  package let suite: ProtocolSuite
  package let flags: ProtocolFlags
  /// SHA-384 of the offer that this session answers: 48 bytes.
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

  /// Number of bytes that follow the fixed part.
  /// - Throws: `SESSION-VERSION`, `SESSION-SUITE`; `SESSION-SYNTAX` when the lengths are
  ///   impossible.
  package static func evidenceSize(
    _ record: Layout, at offset: UInt64
  ) throws(MigrationError) -> Int {
    _ = try suite(of: record, at: offset)
    let isMutual = ProtocolFlags(rawValue: record.flags.value).contains(.mutual)
    let (report, certificates) = (
      Int(record.reportLength.value), Int(record.certificatesLength.value)
    )
    let isPossible =
      isMutual
      ? report == AttestationReport.Layout.size
        && 1...MigrationData.maximumCertificates ~= certificates
      : report == 0 && certificates == 0
    guard isPossible else {
      throw MigrationError(
        .sessionSyntax, "impossible lengths of report or certificates",
        at: Layout.offset(of: \.reportLength, from: offset),
        expected: isMutual
          ? "\(AttestationReport.Layout.size) and 1 to \(MigrationData.maximumCertificates)"
          : "0 and 0: not mutual", got: "\(report) and \(certificates)")
    }
    return report + certificates
  }

  private static func suite(
    of record: Layout, at offset: UInt64
  ) throws(MigrationError) -> ProtocolSuite {
    try ProtocolSuite(
      record.suite, at: Layout.offset(of: \.suite, from: offset), versionCode: .sessionVersion,
      suiteCode: .sessionSuite)
  }

  /// Decodes a whole payload. Nothing is verified yet.
  /// - Parameters:
  ///   - offset: where the payload begins in the stream.
  ///   - refuse: called with a broken rule that leaves the fields readable.
  /// - Throws: `SESSION-SYNTAX`, `SESSION-VERSION`, `SESSION-SUITE`, `SECTION-RESERVED`.
  package init(
    _ bytes: [UInt8], at offset: UInt64, refuse: MigrationError.Refusal = MigrationError.refuse
  ) throws(MigrationError) {
    let span = bytes.span
    var cursor = ByteCursor(span, at: offset)
    let record = try cursor.read(Layout.self)
    suite = try Self.suite(of: record, at: offset)
    flags = try ProtocolFlags(
      record.flags, known: [.mutual, .seeded], at: Layout.offset(of: \.flags, from: offset),
      code: .sessionSyntax, refuse: refuse)
    offerDigest = record.offerDigest.array
    encapsulatedKey = record.encapsulatedKey.array
    wrappedKey = record.wrappedKey.array
    sourceKey = record.sourceKey.array
    try record.requireZero([\.reserved, \.reserved2], at: offset, refuse: refuse)
    let size = try Self.evidenceSize(record, at: offset)
    guard cursor.remaining == size else {
      throw MigrationError(
        .sessionSyntax, "session payload has a wrong length", at: offset, expected: "\(size)",
        got: "\(cursor.remaining)")
    }
    report = try cursor.takeArray(Int(record.reportLength.value))
    certificates = try cursor.takeArray(cursor.remaining)
    encoded = bytes
  }

  /// The bytes that the REPORT_DATA of the source's report binds.
  package static func bound(
    flags: ProtocolFlags, offerDigest: [UInt8], encapsulatedKey: [UInt8], wrappedKey: [UInt8],
    sourceKey: [UInt8]
  ) -> [UInt8] {
    var record = begun(flags: flags, offerDigest: offerDigest)
    record.encapsulatedKey = WireBytes(encapsulatedKey)
    record.wrappedKey = WireBytes(wrappedKey)
    record.sourceKey = WireBytes(sourceKey)
    return record.bytes(before: \.reportLength)
  }

  /// The bytes that the key wrap binds as HPKE `info`, without the label.
  package static func wrapInfo(flags: ProtocolFlags, offerDigest: [UInt8]) -> [UInt8] {
    begun(flags: flags, offerDigest: offerDigest).bytes(before: \.encapsulatedKey)
  }

  private static func begun(flags: ProtocolFlags, offerDigest: [UInt8]) -> Layout {
    var record = Layout()
    record.suite = ProtocolSuite.v1.record
    record.flags = BE32(flags.rawValue)
    record.offerDigest = WireBytes(offerDigest)
    return record
  }

  /// Composes a payload. Report and certificates are empty when the session is not mutual.
  package init(bound: [UInt8], report: [UInt8], certificates: [UInt8]) throws(MigrationError) {
    var bytes = bound
    bytes.append(bigEndian: UInt32(truncatingIfNeeded: report.count))
    bytes.append(bigEndian: UInt32(truncatingIfNeeded: certificates.count))
    try self.init(bytes + report + certificates, at: 0)
  }

  /// Makes sure that the session answers `offer`.
  /// - Parameter offset: where the transfer data begins in the stream.
  /// - Throws: `SESSION-RECIPIENT`.
  package func requireAnswer(to offer: MigrationData, at offset: UInt64) throws(MigrationError) {
    let digest = try offer.digest()
    guard offerDigest == digest else {
      throw MigrationError(
        .sessionRecipient, "stream is for another destination", in: .session,
        at: Layout.offset(of: \.offerDigest, from: offset),
        expected: "offer \(Hex.encode(digest.prefix(8)))…",
        got: "\(Hex.encode(offerDigest.prefix(8)))…")
    }
  }

  /// The refusal of a session whose transport key does not unwrap.
  /// - Parameter offset: where the transfer data begins in the stream.
  package static func unwrapError(at offset: UInt64) -> MigrationError {
    MigrationError(
      .sessionKey, "transport key does not unwrap", in: .session,
      at: Layout.offset(of: \.encapsulatedKey, from: offset))
  }

  /// The REPORT_DATA the source's report must carry: 64 bytes. It binds the offer, the wrapped
  /// key and the source's own key.
  package func expectedReportData() throws(MigrationError) -> [UInt8] {
    try SHA512.hash(
      Label.sourceReport + encoded.prefix(Layout.offset(of: \.reportLength)))
  }
}
