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
  /// The fixed part of an offer file, big-endian; report and certificate table follow.
  ///
  ///     offset  size  field
  ///          0     8  magic               "SVSMOFFR"
  ///          8     2  version             1
  ///         10     2  kem                 0x0011
  ///         12     2  kdf                 0x0002
  ///         14     2  aead                0x0002
  ///         16     4  flags               bit 1: seeded
  ///         20    97  public_key          P-384, uncompressed point
  ///        117     3  reserved            zero
  ///        120     4  report_length       1184
  ///        124     4  certificates_length 1 to 16384
  package static let layout = RecordLayout(
    "offer",
    [
      "magic": 8, "version": 2, "kem": 2, "kdf": 2, "aead": 2, "flags": 4, "public_key": 97,
      "reserved": 3, "report_length": 4, "certificates_length": 4,
    ])

  static let magic = Array("SVSMOFFR".utf8)
  /// Bytes that the report's REPORT_DATA binds: all up to the reserved bytes.
  package static let boundSize = 117
  /// Bytes a certificate table may have.
  package static let maximumCertificates = CertificateTable.limit
  /// Bytes an offer file may have.
  package static let maximumSize = 128 + 1184 + maximumCertificates

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
    guard try cursor.takeArray(8) == Self.magic else {
      throw MigrationError(.offerSyntax, "not an offer file", at: 0, expected: "SVSMOFFR")
    }
    suite = try ProtocolSuite(
      from: &cursor, versionCode: .offerVersion, suiteCode: .offerSuite)
    flags = try ProtocolFlags(from: &cursor, known: .seeded, code: .offerSyntax)
    publicKey = try cursor.takeArray(97)
    guard try cursor.takeArray(3) == [0, 0, 0] else {
      throw MigrationError(.offerSyntax, "reserved bytes are not zero", at: 117)
    }
    let reportLength = try cursor.read(UInt32.self)
    let certificatesLength = try cursor.read(UInt32.self)
    guard reportLength == 1184, certificatesLength > 0,
      certificatesLength <= Self.maximumCertificates
    else {
      throw MigrationError(
        .offerSyntax, "impossible lengths of report or certificates", at: 120,
        expected: "1184 and 1 to \(Self.maximumCertificates)",
        got: "\(reportLength) and \(certificatesLength)")
    }
    report = try cursor.takeArray(1184)
    certificates = try cursor.takeArray(Int(certificatesLength))
    guard cursor.remaining == 0 else {
      throw MigrationError(.offerSyntax, "bytes after the end", at: cursor.offset)
    }
    encoded = bytes
  }

  /// Composes an offer.
  init(
    publicKey: [UInt8], flags: ProtocolFlags, report: [UInt8], certificates: [UInt8]
  ) throws(MigrationError) {
    var bytes = Self.bound(publicKey: publicKey, flags: flags)
    bytes += [0, 0, 0]
    bytes.append(bigEndian: UInt32(truncatingIfNeeded: report.count))
    bytes.append(bigEndian: UInt32(truncatingIfNeeded: certificates.count))
    try self.init(bytes + report + certificates)
  }

  private static func bound(publicKey: [UInt8], flags: ProtocolFlags) -> [UInt8] {
    var bytes = magic
    ProtocolSuite.v1.encode(to: &bytes)
    bytes.append(bigEndian: flags.rawValue)
    return bytes + publicKey
  }

  /// SHA-384 of the file's bytes: how a session names the offer it answers.
  package func digest() throws(MigrationError) -> [UInt8] { try SHA384.hash(encoded) }

  /// The REPORT_DATA that binds this offer's key, suite and flags: 64 bytes.
  static func reportData(
    publicKey: [UInt8], flags: ProtocolFlags
  ) throws(MigrationError) -> [UInt8] {
    try SHA512.hash(Label.destinationReport + bound(publicKey: publicKey, flags: flags))
  }

  /// The REPORT_DATA the report must carry.
  package func expectedReportData() throws(MigrationError) -> [UInt8] {
    try Self.reportData(publicKey: publicKey, flags: flags)
  }
}

/// Domain separation: what each hash and derived key is for. Each label ends with a zero byte.
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
