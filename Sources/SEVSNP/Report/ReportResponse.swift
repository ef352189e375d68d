internal import Errors
package import Wire

/// MSG_REPORT_RSP: the firmware's response to a request for a report, as Linux passes it on
/// (SEV-SNP firmware ABI, "MSG_REPORT_RSP").
package enum ReportResponse {
  /// The layout of the data before the report, little-endian. After the report, a buffer from Linux
  /// has zeros up to `bufferSize` bytes.
  package struct Layout: WireRecord {
    package static let name = "report-response"

    /// 0 on success.
    package var status: LE32
    /// Length of the report in bytes.
    package var reportSize: LE32
    /// Zero.
    package var reserved: WireBytes<24>

    /// The name in AMD's spelling.
    package static func fieldName(of property: String) -> String { upperCaseName(of: property) }
  }

  /// Size in bytes of the buffer in which Linux returns the response to SNP_GET_REPORT. The
  /// certificate table of SNP_GET_EXT_REPORT is in a buffer of its own; tools that save both write
  /// it after this one.
  package static let bufferSize = 4000

  /// The report in a response, and the bytes after the buffer; nil when `bytes` are not a response.
  /// - Throws: `REPORT-LENGTH` for a response that has no report, is truncated, or has nonzero
  ///   bytes after the report; `REPORT-RESERVED`.
  static func read(
    _ bytes: [UInt8]
  ) throws(MigrationError) -> (report: [UInt8], rest: ArraySlice<UInt8>)? {
    guard bytes.count >= Layout.size else { return nil }
    let record = Layout(at: 0, of: bytes.span)
    let (status, size) = (record.status.value, Int(record.reportSize.value))
    // A plain report has its policy at this offset, and bit 17 of a policy is always set.
    if status != 0, [0, AttestationReport.Layout.size].contains(size), record.reserved.isZero {
      throw MigrationError(
        .reportLength,
        "the firmware answered with status \(Hex.number(status)): no report",
        in: .report, at: Layout.offset(of: \.status, from: 0), expected: "status 0")
    }
    guard status == 0, size == AttestationReport.Layout.size else { return nil }
    let end = Layout.size + AttestationReport.Layout.size
    guard bytes.count >= end else {
      throw MigrationError(
        .reportLength, "the firmware's response is cut", in: .report,
        expected: "\(end) bytes", got: "\(bytes.count)")
    }
    guard record.reserved.isZero else {
      throw MigrationError(
        .reportReserved, "reserved bytes of the firmware's response are not zero",
        in: .report, at: Layout.offset(of: \.reserved, from: 0))
    }
    let report = Array(bytes[Layout.size..<end])
    let padding = bytes[end..<max(end, min(bytes.count, bufferSize))]
    if let place = padding.firstIndex(where: { $0 != 0 }) {
      throw MigrationError(
        .reportLength, "a byte after the report in the firmware's response is not zero",
        in: .report, at: UInt64(place), expected: "0", got: "\(bytes[place])")
    }
    return (report, bytes[padding.endIndex...])
  }
}
