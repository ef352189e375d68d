internal import Cryptography
package import Errors
internal import JSON
internal import Wire

/// An attestation report in one of the forms in which reports are exchanged, and the data that came
/// with it.
package struct ReportContainer: Sendable {
  /// The form of the data around the report.
  package enum Form: String, Sendable {
    case report
    /// See `ReportResponse`.
    case response
    /// See `HCLReport`.
    case hcl = "azure-hcl"
  }

  /// The encoding of the form.
  package enum Coding: String, Sendable {
    case binary, hex, base64
    /// A JSON array of numbers.
    case array = "json-array"
    /// JSON with `outblob` and `auxblob`, named after the files of Linux's configfs-tsm.
    case tsm = "tsm-json"
    /// JSON with `attestation_report` and `cert_chain`, the evidence of Confidential Containers.
    case coco = "coco-json"

    /// Text for people: "in Base64".
    package var description: String {
      switch self {
      case .binary: "in binary"
      case .hex: "in hex"
      case .base64: "in Base64"
      case .array: "in a JSON array"
      case .tsm: "in JSON of configfs-tsm"
      case .coco: "in JSON of Confidential Containers"
      }
    }
  }

  package let form: Form
  package let coding: Coding
  /// The report, `AttestationReport.Layout.size` bytes.
  package let report: [UInt8]
  /// Certificates in the container itself.
  package let certificates: SuppliedCertificates
  /// The HCL report, when `form` is `hcl`; else nil.
  package let hcl: HCLReport?

  /// - Throws: `REPORT-LENGTH` for bytes that hold no report; what `ReportResponse` and `HCLReport`
  ///   refuse; `CERT-TABLE`, `CERT-SYNTAX` for the certificates.
  package init(_ bytes: [UInt8]) throws(MigrationError) {
    guard let found = try Self.coded(bytes) else {
      throw MigrationError(
        .reportLength, "file holds no attestation report", in: .report,
        expected:
          "\(AttestationReport.Layout.size) bytes, a MSG_REPORT_RSP or another form of a report",
        got: Likeness(bytes).decodedDescription)
    }
    self = found
  }

  private init(_ found: Found, _ coding: Coding, _ more: [X509Certificate] = []) {
    form = found.form
    self.coding = coding
    report = found.report
    hcl = found.hcl
    var certificates = found.certificates
    certificates.append(more)
    self.certificates = certificates
  }

  // MARK: Codings

  /// Every coding encodes binary data: codings are not nested.
  private static func coded(_ bytes: [UInt8]) throws(MigrationError) -> ReportContainer? {
    if let found = try Found(bytes) { return ReportContainer(found, .binary) }
    guard bytes.isText else { return nil }
    let text = bytes.withoutByteOrderMark
    if let decoded = BinaryText(text), let found = try Found(decoded.bytes) {
      return ReportContainer(found, decoded.coding == .hex ? .hex : .base64)
    }
    guard let json = try? JSON(parsing: text) else { return nil }
    if let bytes = json.array == nil ? nil : json.bytes, let found = try Found(bytes) {
      return ReportContainer(found, .array)
    }
    return try evidence(json)
  }

  /// The report in a JSON object. An object with two reports or a repeated key is refused, because
  /// readers could use different ones.
  private static func evidence(_ json: JSON) throws(MigrationError) -> ReportContainer? {
    let (blob, report) = (json["outblob"], json["attestation_report"])
    if blob == nil, report == nil { return nil }
    if let key = json.repeatedKey { throw refusal("\(printable(key)) occurs twice") }
    switch (blob, report) {
    case (let blob?, nil): return ReportContainer(try tsm(blob, of: json), .tsm)
    case (nil, let report?): return try coco(report, of: json)
    default:
      throw refusal(
        "outblob and attestation_report are both present", expected: "one attestation report")
    }
  }

  private static func tsm(_ blob: JSON, of json: JSON) throws(MigrationError) -> Found {
    if let name = json["provider"]?.string, !name.hasPrefix("sev_guest") {
      throw refusal("the report is another provider's", expected: "sev_guest", got: printable(name))
    }
    guard var found = try Found(required(blob, "outblob")) else {
      throw refusal("outblob holds no attestation report")
    }
    if let table = json["auxblob"], !table.isNull {
      try found.addTable(required(table, "auxblob"))
    }
    return found
  }

  private static func coco(_ report: JSON, of json: JSON) throws(MigrationError) -> ReportContainer
  {
    guard let found = try Found(required(report, "attestation_report")) else {
      throw refusal("attestation_report holds no attestation report")
    }
    var certificates: [X509Certificate] = []
    if let chain = json["cert_chain"], !chain.isNull {
      guard let entries = chain.array else { throw refusal("cert_chain is not an array") }
      for entry in entries {
        guard let data = entry["data"] else {
          throw refusal("an entry of cert_chain has no data")
        }
        certificates += try X509Certificate.read(required(data, "data"))
      }
    }
    return ReportContainer(found, .coco, certificates)
  }

  private static func required(_ json: JSON, _ key: String) throws(MigrationError) -> [UInt8] {
    guard let bytes = json.bytes else {
      throw refusal("\(key) is not bytes", expected: "Base64, hex or an array of numbers")
    }
    return bytes
  }

  private static func refusal(
    _ what: String, expected: String? = nil, got: String? = nil
  ) -> MigrationError {
    MigrationError(.reportLength, what, in: .report, expected: expected, got: got)
  }
}

/// A report found in bytes of one of the binary forms.
private struct Found {
  var form: ReportContainer.Form
  var report: [UInt8]
  var certificates = SuppliedCertificates()
  var hcl: HCLReport?

  /// nil when `bytes` have none of the binary forms.
  init?(_ bytes: [UInt8]) throws(MigrationError) {
    if let hcl = try HCLReport(bytes) {
      (form, report, self.hcl) = (.hcl, hcl.report, hcl)
    } else if let response = try ReportResponse.read(bytes) {
      (form, report) = (.response, response.report)
      if response.rest.contains(where: { $0 != 0 }) { try addTail(response.rest) }
    } else if bytes.count == AttestationReport.Layout.size {
      (form, report) = (.report, bytes)
    } else if bytes.count > AttestationReport.Layout.size, bytes[0] != 0, bytes[1..<4] == [0, 0, 0]
    {
      // It begins with a version and is longer than a report: a table follows, or zeros to the end
      // of a page.
      (form, report) = (.report, Array(bytes.prefix(AttestationReport.Layout.size)))
      try addTail(bytes[AttestationReport.Layout.size...])
    } else {
      return nil
    }
  }

  /// Takes what ends a file: a certificate table, or zeros that fill its last page. Fewer zeros
  /// than an entry has bytes are neither, and refused.
  private mutating func addTail(_ tail: ArraySlice<UInt8>) throws(MigrationError) {
    let bytes = Array(tail)
    guard CertificateTable.isMeant(bytes) else {
      throw Self.stray(at: tail.startIndex, of: tail.endIndex)
    }
    guard let first = bytes.firstIndex(where: { $0 != 0 }) else { return }
    // A list without an entry is the end of a buffer, so no content can follow.
    guard first < CertificateTable.Layout.size else {
      throw Self.stray(at: tail.startIndex + first, of: tail.endIndex)
    }
    let stray: Int?
    do {
      let (table, place) = try CertificateTable.read(bytes)
      certificates.append(try SuppliedCertificates(table))
      stray = place
    } catch {
      throw error.within(.certificates)
    }
    if let stray { throw Self.stray(at: tail.startIndex + stray, of: tail.endIndex) }
  }

  private static func stray(at place: Int, of count: Int) -> MigrationError {
    MigrationError(
      .reportLength, "bytes after the report are neither a certificate table nor a part of one",
      in: .report, at: UInt64(place),
      expected: "\(AttestationReport.Layout.size) bytes, or a table after them",
      got: "\(count) bytes")
  }

  /// Adds a certificate table. Zeros alone are an unused buffer and not a table.
  mutating func addTable(_ bytes: [UInt8]) throws(MigrationError) {
    guard bytes.contains(where: { $0 != 0 }) else { return }
    do {
      certificates.append(try SuppliedCertificates(CertificateTable(bytes)))
    } catch {
      throw error.within(.certificates)
    }
  }
}
