public import Bytes

/// MSG_REPORT_RSP: how firmware answers a request for a report, and how Linux hands it on (SEV-SNP
/// firmware ABI, "MSG_REPORT_RSP").
public enum ReportResponse {
  /// What stands before the report, little-endian. Behind it a buffer of Linux has zeros up to 4000
  /// bytes.
  ///
  ///     offset  size  field
  ///          0     4  STATUS       0
  ///          4     4  REPORT_SIZE  1184
  ///          8    24  reserved     zero
  public static let layout = RecordLayout(
    "report-response", ["STATUS": 4, "REPORT_SIZE": 4, "reserved": 24])

  /// The report in a response; nil when `bytes` are no response that holds one.
  public static func report(in bytes: [UInt8]) throws(MigrationError) -> [UInt8]? {
    guard bytes.count >= layout.size + AttestationReport.size else { return nil }
    let span = bytes.span
    var cursor = ByteCursor(span)
    let status = try cursor.readLittleEndian(UInt32.self)
    let size = try cursor.readLittleEndian(UInt32.self)
    let reserved = try cursor.takeArray(24)
    guard status == 0, size == AttestationReport.size, reserved.allSatisfy({ $0 == 0 }) else {
      return nil
    }
    return try cursor.takeArray(AttestationReport.size)
  }
}
