internal import Cryptography
internal import Errors
internal import JSON
package import Wire

/// What the vTPM of a confidential VM on Azure returns for NV index 0x01400001: a report that
/// Microsoft's host compatibility layer requested, and the claims whose hash is in REPORT_DATA
/// (Microsoft, "Confidential VM guest attestation design detail").
package struct HCLReport: Equatable, Sendable {
  /// The layout of the data around the report, little-endian. The claims come after it, then zeros.
  package struct Layout: WireRecord {
    package static let name = "hcl-report"

    /// `magic`.
    package var signature: WireBytes<4>
    /// Not checked, like `data`.
    package var header: WireBytes<28>
    package var report: WireBytes<1184>
    package var data: WireBytes<8>
    /// 2 is SEV-SNP.
    package var reportType: LE32
    /// 1 is SHA-256, 2 SHA-384, 3 SHA-512.
    package var hashType: LE32
    package var claimsLength: LE32
  }

  private static let magic = Array("HCLA".utf8)

  /// The report, `AttestationReport.Layout.size` bytes.
  package let report: [UInt8]
  /// The claims, as JSON text: public keys of the vTPM, and the host's statements about the
  /// machine.
  package let claims: [UInt8]
  /// Name of the hash function, such as "SHA-256".
  package let hashName: String
  /// The value that REPORT_DATA must have: the hash of the claims, padded with zeros to 64 bytes.
  package let reportData: [UInt8]

  /// nil when `bytes` have another form.
  /// - Throws: `REPORT-LENGTH` for data that is truncated, from another type of processor, has
  ///   claims with an unknown hash, or has nonzero bytes after them.
  init?(_ bytes: [UInt8]) throws(MigrationError) {
    guard bytes.starts(with: Self.magic) else { return nil }
    let span = bytes.span
    var cursor = ByteCursor(span)
    do throws(MigrationError) {
      let record = try cursor.read(Layout.self)
      report = record.report.array
      let (type, hash) = (record.reportType.value, record.hashType.value)
      guard type == 2 else {
        throw Self.refusal(
          "the report of the vTPM is not an SEV-SNP processor's",
          at: Layout.offset(of: \.reportType, from: 0), expected: "2",
          got: "\(type)")
      }
      claims = try cursor.takeArray(Int(record.claimsLength.value))
      let digest: [UInt8]
      switch hash {
      case 1: (hashName, digest) = ("SHA-256", try SHA256.hash(claims))
      case 2: (hashName, digest) = ("SHA-384", try SHA384.hash(claims))
      case 3: (hashName, digest) = ("SHA-512", try SHA512.hash(claims))
      default:
        throw Self.refusal(
          "the vTPM's claims are hashed in an unknown way",
          at: Layout.offset(of: \.hashType, from: 0), expected: "1 to 3",
          got: "\(hash)")
      }
      reportData =
        digest
        + [UInt8](
          repeating: 0, count: AttestationReport.Layout.range(of: \.reportData).count - digest.count
        )
      if let stray = bytes[Int(cursor.offset)...].firstIndex(where: { $0 != 0 }) {
        throw Self.refusal(
          "a byte after the vTPM's claims is not zero", at: UInt64(stray), expected: "0",
          got: "\(bytes[stray])")
      }
    } catch {
      guard error.code == .streamTruncated else { throw error }
      throw Self.refusal(
        "the report of the vTPM is cut", at: error.offset, expected: error.expected,
        got: error.got)
    }
  }

  private static func refusal(
    _ what: Wording, at offset: UInt64?, expected: Wording?, got: Wording?
  ) -> MigrationError {
    MigrationError(
      .reportLength, what, in: .report, at: offset, expected: expected, got: got)
  }
}
