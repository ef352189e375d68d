internal import Errors
package import Wire

/// MSG_REPORT_RSP: how firmware answers a request for a report, and how Linux hands it on (SEV-SNP
/// firmware ABI, "MSG_REPORT_RSP").
package enum ReportResponse {
  /// What stands before the report, little-endian. After it a buffer of Linux has zeros up to
  /// `bufferSize` bytes.
  ///
  ///     offset  size  field
  ///          0     4  STATUS       0
  ///          4     4  REPORT_SIZE  1184
  ///          8    24  reserved     zero
  package static let layout = RecordLayout(
    "report-response", ["STATUS": 4, "REPORT_SIZE": 4, "reserved": 24])

  /// Bytes of the buffer that Linux answers SNP_GET_REPORT in. The certificate table of
  /// SNP_GET_EXT_REPORT is a buffer of its own, written after it by those who keep both.
  package static let bufferSize = 4000

  /// The report in a response, and what comes after the buffer; nil when `bytes` are no response.
  /// - Throws: `REPORT-LENGTH` for an answer without a report, or a response that is cut or has
  ///   anything but zeros after the report; `REPORT-RESERVED`.
  static func read(
    _ bytes: [UInt8]
  ) throws(MigrationError) -> (report: [UInt8], rest: ArraySlice<UInt8>)? {
    guard bytes.count >= layout.size else { return nil }
    let span = bytes.span
    var cursor = ByteCursor(span)
    let status = try cursor.readLittleEndian(UInt32.self)
    let size = try cursor.readLittleEndian(UInt32.self)
    let reserved = try cursor.takeArray(24)
    // A report has its policy there, of which bit 17 is always set.
    if status != 0, [0, UInt32(AttestationReport.size)].contains(size),
      reserved.allSatisfy({ $0 == 0 })
    {
      throw MigrationError(
        .reportLength,
        "the firmware answered with status 0x\(String(status, radix: 16)): no report",
        in: .report, at: 0, expected: "status 0")
    }
    guard status == 0, size == AttestationReport.size else { return nil }
    let end = layout.size + AttestationReport.size
    guard bytes.count >= end else {
      throw MigrationError(
        .reportLength, "the firmware's response is cut", in: .report,
        expected: "\(end) bytes", got: "\(bytes.count)")
    }
    guard reserved.allSatisfy({ $0 == 0 }) else {
      throw MigrationError(
        .reportReserved, "reserved bytes of the firmware's response are not zero",
        in: .report, at: 8)
    }
    let report = try cursor.takeArray(AttestationReport.size)
    let padding = bytes[end..<max(end, min(bytes.count, bufferSize))]
    if let place = padding.firstIndex(where: { $0 != 0 }) {
      throw MigrationError(
        .reportLength, "a byte after the report in the firmware's response is not zero",
        in: .report, at: UInt64(place), expected: "0", got: "\(bytes[place])")
    }
    return (report, bytes[padding.endIndex...])
  }
}
