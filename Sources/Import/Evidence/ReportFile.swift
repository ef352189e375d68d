internal import Cryptography
package import Errors
internal import FileIO
internal import JSON
package import SEVSNP
package import SVSM

/// An attestation report read from a file in any of the supported forms.
package struct ReportFile {
  /// Largest size of the file in bytes.
  package static let limit = 1 << 20

  /// The report, 1184 bytes.
  package let report: [UInt8]
  /// The offer that contains the report, if the file is an offer of this project.
  package let offer: MigrationData?
  /// Another container of the report; nil for an offer and for a bare report.
  package let container: ReportContainer?

  /// - Throws: `INPUT-OPEN`, `INPUT-KIND`, `IO-READ`; the errors of `init(_:)`.
  package init(reading path: String) throws(MigrationError) {
    try self.init(readSmallFile(path, limit: Self.limit))
  }

  /// - Throws: `REPORT-LENGTH` for a file that holds no report; the errors of the offer parser and
  ///   of `ReportContainer`.
  package init(_ bytes: [UInt8]) throws(MigrationError) {
    if bytes.starts(with: "SVSMOFFR".utf8) {
      let offer = try MigrationData(bytes)
      (report, self.offer, container) = (offer.report, offer, nil)
    } else {
      let container = try ReportContainer(bytes)
      (report, offer, self.container) = (container.report, nil, container)
    }
  }

  /// The certificates that came with the report.
  /// - Throws: `CERT-TABLE`, `CERT-SYNTAX`.
  package func certificates() throws(MigrationError) -> SuppliedCertificates {
    if let container { return container.certificates }
    guard let offer else { return SuppliedCertificates() }
    return try SuppliedCertificates(CertificateTable(offer.certificates))
  }

  /// The certificates that came with the report, for showing only; none if any of them cannot be
  /// read.
  package var readableCertificates: SuppliedCertificates {
    (try? certificates()) ?? SuppliedCertificates()
  }

  /// The REPORT_DATA that binds the container's contents: the key of an offer, or the claims of a
  /// vTPM.
  package func expectedReportData() throws(MigrationError) -> [UInt8]? {
    if let offer { return try offer.expectedReportData() }
    return container?.hcl?.reportData
  }

  /// Whether REPORT_DATA is the hash of the claims.
  package func bindsClaims(of hcl: HCLReport) -> Bool {
    let start = 0x050
    return report[start..<start + 64].elementsEqual(hcl.reportData)
  }

  /// The form, as JSON names it.
  package var form: String { container?.form.rawValue ?? "offer" }
  package var coding: ReportContainer.Coding { container?.coding ?? .binary }
}

/// A point in time as a person writes it: a date, seconds since 1970, or "issue".
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
    // A date that the conversion does not reproduce does not exist, such as 2025-02-30.
    guard CivilDate.text(days * 86_400).hasPrefix(text + "T") else { return nil }
    time = .at(days * 86_400)
  }
}
