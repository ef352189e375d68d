internal import Bytes
internal import Cryptography
internal import FileIO
package import SEVSNP
internal import SVSM

/// An attestation report in a file of one of the kinds it comes in.
struct ReportFile {
  enum Kind: String {
    /// The 1184 bytes alone.
    case report
    /// MSG_REPORT_RSP, as firmware answers and Linux hands it on.
    case response
    /// An offer of ours, with certificates.
    case offer
  }

  /// Bytes a file may have.
  static let limit = 1 << 20

  let kind: Kind
  let report: [UInt8]
  /// The offer the report stands in.
  let offer: MigrationData?

  /// - Throws: `INPUT-OPEN`, `INPUT-KIND`, `IO-READ`; what `init(_:)` refuses.
  init(reading path: String) throws(MigrationError) {
    try self.init(readSmallFile(path, limit: Self.limit))
  }

  /// - Throws: `REPORT-LENGTH` for a file that holds no report; what an offer refuses.
  init(_ bytes: [UInt8]) throws(MigrationError) {
    if bytes.starts(with: "SVSMOFFR".utf8) {
      let offer = try MigrationData(bytes)
      (kind, report, self.offer) = (.offer, offer.report, offer)
      return
    }
    offer = nil
    if let report = try ReportResponse.report(in: bytes) {
      (kind, self.report) = (.response, report)
      return
    }
    guard bytes.count == AttestationReport.size else {
      throw MigrationError(
        .reportLength, "file holds no attestation report", section: "report",
        expected: "\(AttestationReport.size) bytes, a MSG_REPORT_RSP or an offer",
        got: "\(bytes.count) bytes")
    }
    (kind, report) = (.report, bytes)
  }
}

extension X509Certificate {
  /// Every certificate in a file: DER, PEM with any number, or a GHCB certificate table.
  /// - Throws: `INPUT-OPEN`, `INPUT-KIND`, `IO-READ`; `CERT-SYNTAX`, `CERT-TABLE`.
  static func all(inFile path: String) throws(MigrationError) -> [X509Certificate] {
    let bytes = try readSmallFile(path, limit: TrustOptions.fileLimit)
    do {
      // A certificate is a SEQUENCE; no GUID of a table begins with that tag.
      if PEM.isText(bytes) || bytes.first == 0x30 { return try read(bytes) }
      return try CertificateTable(bytes).certificates()
    } catch {
      throw error.inSection(path)
    }
  }
}

/// A point in time on the command line: a date, seconds since 1970, or "issue".
package struct AttestationTime: Equatable {
  package var time: AttestationVerifier.Time

  /// - Parameter text: `YYYY-MM-DD` (midnight UTC), decimal digits, or `issue`.
  package init?(_ text: String) {
    if text == "issue" {
      time = .atIssue
      return
    }
    if let seconds = Int64(text), seconds >= 0, text.utf8.allSatisfy({ 0x30...0x39 ~= $0 }) {
      time = .at(seconds)
      return
    }
    let parts = text.split(separator: "-", omittingEmptySubsequences: false)
    guard parts.map(\.utf8.count) == [4, 2, 2] else { return nil }
    let numbers = parts.compactMap { UInt16($0) }.map(Int64.init)
    guard numbers.count == 3 else { return nil }
    let days = CivilDate.days(year: numbers[0], month: numbers[1], day: numbers[2])
    // A date that does not come back is none: 2025-02-30.
    guard CivilDate.text(days * 86_400).hasPrefix(text + "T") else { return nil }
    time = .at(days * 86_400)
  }
}
