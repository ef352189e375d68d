internal import Cryptography
package import Errors
internal import SEVSNP
package import Wire

/// What a destination SVSM publishes so that a source can encrypt to it: its public key, an
/// attestation report that binds the key, and the certificates to check the report with.
///
/// The design calls this *migration data*; on disk it is the offer file. Source: "SEV-SNP Live
/// Migration and VMM/KVM API Implications" (AMD, 2023), initiation.
package struct MigrationData: Sendable, Hashable {
  /// The fixed part of an offer file. The report and the certificate table follow. The report's
  /// REPORT_DATA binds all fields before the reserved bytes.
  package struct Layout: WireRecord {
    package static let name = "offer"

    /// "SVSMOFFR".
    package var magic: WireBytes<8>
    package var suite: ProtocolSuite.Layout
    /// Bit 1: seeded.
    package var flags: BE32
    /// P-384, uncompressed point.
    package var publicKey: WireBytes<97>
    /// Zero.
    package var reserved: WireBytes<3>
    /// 1184.
    package var reportLength: BE32
    /// 1 to 16384.
    package var certificatesLength: BE32
  }

  static let magic = Array("SVSMOFFR".utf8)
  /// Largest size of a certificate table in bytes.
  package static let maximumCertificates = CertificateTable.limit
  /// Largest size of an offer file in bytes.
  package static let maximumSize = Layout.size + AttestationReport.Layout.size + maximumCertificates

  /// The file's bytes.
  package let encoded: [UInt8]
  package let suite: ProtocolSuite
  package let flags: ProtocolFlags
  /// P-384, uncompressed: 97 bytes.
  package let publicKey: [UInt8]
  /// SNP attestation report: 1184 bytes.
  package let report: [UInt8]
  /// GHCB certificate table.
  package let certificates: [UInt8]

  /// Decodes an offer file. Nothing is verified yet.
  /// - Throws: `OFFER-SYNTAX`, `OFFER-VERSION`, `OFFER-SUITE`, with the offset in the file.
  package init(_ bytes: [UInt8]) throws(MigrationError) {
    do {
      try self.init(parsing: bytes)
    } catch {
      var error = error.within(.offer)
      if error.code == .streamTruncated { error.code = .offerSyntax }
      throw error
    }
  }

  private init(parsing bytes: [UInt8]) throws(MigrationError) {
    let span = bytes.span
    var cursor = ByteCursor(span)
    guard bytes.count < Self.magic.count || bytes.starts(with: Self.magic) else {
      throw MigrationError(.offerSyntax, "not an offer file", at: 0, expected: "SVSMOFFR")
    }
    let record = try cursor.read(Layout.self)
    suite = try ProtocolSuite(
      record.suite, at: Layout.offset(of: \.suite, from: 0), versionCode: .offerVersion,
      suiteCode: .offerSuite)
    flags = try ProtocolFlags(
      record.flags, known: .seeded, at: Layout.offset(of: \.flags, from: 0), code: .offerSyntax)
    publicKey = record.publicKey.array
    guard record.reserved.isZero else {
      throw MigrationError(
        .offerSyntax, "reserved bytes are not zero", at: Layout.offset(of: \.reserved, from: 0))
    }
    let (reportLength, certificatesLength) = (
      Int(record.reportLength.value), Int(record.certificatesLength.value)
    )
    guard reportLength == AttestationReport.Layout.size,
      1...Self.maximumCertificates ~= certificatesLength
    else {
      throw MigrationError(
        .offerSyntax, "impossible lengths of report or certificates",
        at: Layout.offset(of: \.reportLength, from: 0),
        expected: "\(AttestationReport.Layout.size) and 1 to \(Self.maximumCertificates)",
        got: "\(reportLength) and \(certificatesLength)")
    }
    report = try cursor.takeArray(reportLength)
    certificates = try cursor.takeArray(certificatesLength)
    guard cursor.remaining == 0 else {
      throw MigrationError(.offerSyntax, "bytes after the end", at: cursor.offset)
    }
    encoded = bytes
  }

  /// Composes an offer.
  init(
    publicKey: [UInt8], flags: ProtocolFlags, report: [UInt8], certificates: [UInt8]
  ) throws(MigrationError) {
    var record = Self.record(publicKey: publicKey, flags: flags)
    record.reportLength = BE32(UInt32(truncatingIfNeeded: report.count))
    record.certificatesLength = BE32(UInt32(truncatingIfNeeded: certificates.count))
    try self.init(record.bytes + report + certificates)
  }

  /// The fixed part, with zero in place of the lengths.
  private static func record(publicKey: [UInt8], flags: ProtocolFlags) -> Layout {
    Layout(
      magic: WireBytes(magic), suite: ProtocolSuite.v1.record, flags: BE32(flags.rawValue),
      publicKey: WireBytes(publicKey), reserved: WireBytes(), reportLength: BE32(0),
      certificatesLength: BE32(0))
  }

  /// SHA-384 of the file's bytes, by which a session names the offer it answers.
  package func digest() throws(MigrationError) -> [UInt8] { try SHA384.hash(encoded) }

  /// The REPORT_DATA that binds this offer's key, suite and flags: 64 bytes.
  static func reportData(
    publicKey: [UInt8], flags: ProtocolFlags
  ) throws(MigrationError) -> [UInt8] {
    try SHA512.hash(
      Label.destinationReport
        + record(publicKey: publicKey, flags: flags).bytes(before: \.reserved))
  }

  /// The REPORT_DATA the report must carry.
  package func expectedReportData() throws(MigrationError) -> [UInt8] {
    try Self.reportData(publicKey: publicKey, flags: flags)
  }
}

/// Labels for domain separation: what each hash, signature or derived key is for. Each label ends
/// with a zero byte.
package enum Label {
  package static let destinationReport = label("destination report")
  package static let sourceReport = label("source report")
  package static let transportKey = label("transport key")
  static let pageKey = label("page key")
  static let epochKey = label("epoch key")
  static let finalKey = label("final state key")
  static let commitKey = label("commit key")
  static let abort = label("abort")

  private static func label(_ text: String) -> [UInt8] {
    Array("svsm-migration v1 \(text)".utf8) + [0]
  }
}
