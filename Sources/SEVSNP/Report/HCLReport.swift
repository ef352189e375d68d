internal import Cryptography
internal import Errors
internal import JSON
package import Wire

/// What the vTPM of a confidential VM on Azure gives for NV index 0x01400001: a report that
/// Microsoft's host compatibility layer asked for, and claims that REPORT_DATA is the hash of
/// (Microsoft, "Confidential VM guest attestation design detail").
package struct HCLReport: Equatable, Sendable {
  /// What is around the report, little-endian. The claims come after it, then zeros.
  package struct Layout: WireRecord {
    package static let name = "hcl-report"

    /// `magic`.
    package var signature: WireBytes<4>
    /// Not looked at, as `data`.
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

  /// As long as a report is.
  package let report: [UInt8]
  /// JSON: the public keys of the vTPM, and what the host says of the machine.
  package let claims: [UInt8]
  /// "SHA-256"
  package let hashName: String
  /// What REPORT_DATA has to be: the hash of the claims, then zeros, 64 bytes.
  package let reportData: [UInt8]

  /// nil when `bytes` are of another form.
  /// - Throws: `REPORT-LENGTH` for one that is cut, of another processor, whose claims are hashed in
  ///   an unknown way, or that has anything but zeros after them.
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
