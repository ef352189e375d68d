internal import Cryptography
internal import Errors
internal import JSON
package import Wire

/// What the vTPM of a confidential VM on Azure gives for NV index 0x01400001: a report that
/// Microsoft's host compatibility layer asked for, and claims that REPORT_DATA is the hash of
/// (Microsoft, "Confidential VM guest attestation design detail").
package struct HCLReport: Equatable, Sendable {
  /// What is around the report, little-endian. The claims come after it, then zeros.
  ///
  ///     offset  size  field
  ///       0000     4  signature     "HCLA"
  ///       0004    28  header        not looked at
  ///       0020  1184  report
  ///       04C0     8  data          not looked at
  ///       04C8     4  report_type   2 = SEV-SNP
  ///       04CC     4  hash_type     1 = SHA-256, 2 = SHA-384, 3 = SHA-512
  ///       04D0     4  claims_length
  package static let layout = RecordLayout(
    "hcl-report",
    [
      "signature": 4, "header": 28, "report": 1184, "data": 8, "report_type": 4, "hash_type": 4,
      "claims_length": 4,
    ])

  /// 1184 bytes.
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
    guard bytes.starts(with: "HCLA".utf8) else { return nil }
    let span = bytes.span
    var cursor = ByteCursor(span)
    do throws(MigrationError) {
      _ = try cursor.take(32)
      report = try cursor.takeArray(AttestationReport.size)
      _ = try cursor.take(8)
      let type = try cursor.readLittleEndian(UInt32.self)
      guard type == 2 else {
        throw Self.refusal(
          "the report of the vTPM is not an SEV-SNP processor's", at: 0x4C8, expected: "2",
          got: "\(type)")
      }
      let hash = try cursor.readLittleEndian(UInt32.self)
      let length = try cursor.readLittleEndian(UInt32.self)
      claims = try cursor.takeArray(Int(length))
      let digest: [UInt8]
      switch hash {
      case 1: (hashName, digest) = ("SHA-256", try SHA256.hash(claims))
      case 2: (hashName, digest) = ("SHA-384", try SHA384.hash(claims))
      case 3: (hashName, digest) = ("SHA-512", try SHA512.hash(claims))
      default:
        throw Self.refusal(
          "the vTPM's claims are hashed in an unknown way", at: 0x4CC, expected: "1 to 3",
          got: "\(hash)")
      }
      reportData = digest + [UInt8](repeating: 0, count: 64 - digest.count)
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
    _ what: String, at offset: UInt64?, expected: String?, got: String?
  ) -> MigrationError {
    MigrationError(
      .reportLength, what, in: .report, at: offset, expected: expected, got: got)
  }
}
