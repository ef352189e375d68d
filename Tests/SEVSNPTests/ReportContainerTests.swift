import Errors
import Foundation
import JSON
import SEVSNP
import TestSupport
import Testing
import Wire

@Suite struct ReportContainerTests {
  private static let name = "attestation/genoa-v3-veraison"

  /// A form of one report, with the genuine certificate table or without.
  struct Case: Sendable, CustomTestStringConvertible {
    var form: ReportContainer.Form
    var coding: ReportContainer.Coding
    var certificates: Int
    var make: @Sendable (_ report: [UInt8], _ table: [UInt8]) -> [UInt8]

    init(
      _ form: ReportContainer.Form, _ coding: ReportContainer.Coding, _ certificates: Int,
      _ make: @escaping @Sendable (_ report: [UInt8], _ table: [UInt8]) -> [UInt8]
    ) {
      (self.form, self.coding, self.certificates, self.make) = (form, coding, certificates, make)
    }

    var testDescription: String { "\(form), \(coding), \(certificates) certificates" }
  }

  private static func base64(_ bytes: [UInt8]) -> String {
    Data(bytes).base64EncodedString()
  }

  private static func numbers(_ bytes: [UInt8]) -> String {
    "[" + bytes.map { "\($0)" }.joined(separator: ", ") + "]"
  }

  private static let cases: [Case] = [
    Case(.report, .binary, 0) { report, _ in report },
    Case(.report, .binary, 3) { report, table in report + table },
    Case(.report, .binary, 0) { report, _ in report + [UInt8](repeating: 0, count: 2912) },
    Case(.response, .binary, 0) { report, _ in ReportForms.response(report) },
    Case(.response, .binary, 0) { report, _ in ReportForms.responseBuffer(report) },
    Case(.response, .binary, 3) { report, table in ReportForms.responseBuffer(report) + table },
    Case(.report, .hex, 0) { report, _ in Array("0x\(Hex.encode(report))\n".utf8) },
    Case(.report, .hex, 3) { report, table in Array(Hex.encode(report + table).utf8) },
    Case(.response, .base64, 0) { report, _ in
      Array(base64(ReportForms.response(report)).utf8)
    },
    Case(.report, .array, 0) { report, _ in Array(numbers(report).utf8) },
    Case(.report, .tsm, 0) { report, _ in Array(#"{"outblob":"\#(base64(report))"}"#.utf8) },
    Case(.report, .tsm, 3) { report, table in
      let url = base64(table).map { $0 == "+" ? "-" : $0 == "/" ? "_" : $0 }
      return Array(
        #"""
        {"provider": "sev_guest\n", "outblob": "\#(base64(report))", "auxblob": "\#(String(url))"}
        """#.utf8)
    },
    Case(.report, .coco, 1) { report, table in
      Array(
        #"""
        {"attestation_report": \#(numbers(report)),
         "cert_chain": [{"cert_type": "VCEK", "data": \#(numbers(Array(table[4698...])))}]}
        """#.utf8)
    },
    Case(.report, .coco, 0) { report, _ in
      Array(#"{"attestation_report": \#(numbers(report)), "cert_chain": null}"#.utf8)
    },
  ]

  @Test(arguments: cases)
  func theReportIsFoundInEveryForm(of row: Case) throws {
    let report = try Fixture.read("\(Self.name).report.bin")
    let bytes = row.make(report, try Fixture.read("\(Self.name).certtable.bin"))
    let container = try ReportContainer(bytes)
    #expect(container.report == report)
    #expect(container.form == row.form)
    #expect(container.coding == row.coding)
    #expect(container.certificates.certificates.count == row.certificates)
    #expect(container.certificates.unknownEntries == 0)
    guard row.certificates > 0 else { return }
    let verifier = AttestationVerifier(
      trust: TrustAnchor.amd, requirements: .anyGuest, time: .atIssue)
    #expect(verifier.verify(report: container.report, supplied: container.certificates).isGenuine)
  }

  /// A cut gives the report without its certificates, or nothing.
  @Test(arguments: cases)
  func noCutOfAFormGivesAnotherReport(of row: Case) throws {
    let report = try Fixture.read("\(Self.name).report.bin")
    let bytes = row.make(report, try Fixture.read("\(Self.name).certtable.bin"))
    for count in stride(from: 0, to: bytes.count, by: 97) {
      guard let container = try? ReportContainer(Array(bytes[..<count])) else { continue }
      #expect(container.report == report, "\(count) bytes")
    }
  }

  @Test func nothingButZerosComesAfterAReportInAResponse() throws {
    let report = try Fixture.read("\(Self.name).report.bin")
    for place in [1216, 1217, 2000, 3999] {
      var buffer = ReportForms.responseBuffer(report)
      buffer[place] = 1
      #expect(throws: MigrationError.self) { try ReportContainer(buffer) }
      #expect(refusal { _ = try ReportContainer(buffer) }?.offset == UInt64(place))
    }
  }

  /// Rows: what comes after a report, and the byte of it that belongs to nothing.
  @Test("After a report come a table or zeros, and the first other byte is named")
  func nothingIsPassedOverAfterAReport() throws {
    let report = try Fixture.read("\(Self.name).report.bin")
    let table = try Fixture.read("\(Self.name).certtable.bin")
    let zeros = { [UInt8](repeating: 0, count: $0) }
    let rows: [(tail: [UInt8], stray: Int)] = [
      ([0], 0), (zeros(23), 0), ([UInt8](repeating: 7, count: 100), 0), (report, 0),
      (zeros(24) + [7], 24), (zeros(2911) + [7], 2911), (zeros(1 << 15) + [7], 1 << 15),
      (zeros(24) + table, 24), (table + [7], table.count),
      (table + zeros(100) + [7], table.count + 100),
      (table + table, table.count),
    ]
    for (tail, stray) in rows {
      let said = refusal { _ = try ReportContainer(report + tail) }
      #expect(said?.code == .reportLength, "\(stray) of \(tail.count)")
      #expect(said?.offset == UInt64(1184 + stray), "\(stray) of \(tail.count)")
    }
    #expect(try ReportContainer(report + table + zeros(100)).certificates.certificates.count == 3)
    let buffer = ReportForms.responseBuffer(report)
    for (tail, stray) in [([7, 7, 7], 0), (zeros(30) + [7], 30), (table + [7], table.count)] {
      let said = refusal { _ = try ReportContainer(buffer + tail) }
      #expect(said?.code == .reportLength)
      #expect(said?.offset == UInt64(4000 + stray))
    }
    let hcl = try ReportForms.hcl()
    let said = refusal { _ = try ReportContainer(hcl + [7]) }
    #expect(said?.code == .reportLength)
    #expect(said?.offset == UInt64(hcl.count))
  }

  @Test("Of two reports in one text, or a key that comes twice, none is taken")
  func noReportIsChosen() throws {
    let report = "\"\(Self.base64(try Fixture.read("\(Self.name).report.bin")))\""
    for (text, said) in [
      (#"{"outblob": \#(report), "attestation_report": \#(report)}"#, "both present"),
      (#"{"outblob": \#(report), "outblob": \#(report)}"#, "outblob occurs twice"),
      (#"{"outblob": \#(report), "note": 1, "note": 2}"#, "note occurs twice"),
      (#"{"outblob": \#(report), "auxblob": null, "auxblob": ""}"#, "auxblob occurs twice"),
      (
        #"{"attestation_report": \#(report), "cert_chain": [{"data": "", "data": ""}]}"#,
        "data occurs twice"
      ),
    ] {
      let found = refusal { _ = try ReportContainer(Array(text.utf8)) }
      #expect(found?.code == .reportLength)
      #expect(found?.what.description.contains(said) == true, "\(found?.description ?? "nothing")")
    }
  }

  @Test(
    arguments: [(count: 32, status: 0x16), (1184, 0x16), (1216, 0x16), (4000, 0x16), (4000, 0x27)]
      as [(Int, UInt8)])
  func theFirmwaresStatusIsSaid(count: Int, status: UInt8) {
    // Firmware may give the size of a report, and what is in the buffer then is none.
    for size: [UInt8] in [[0, 0, 0, 0], [0xA0, 4, 0, 0]] {
      let answer = [status, 0, 0, 0] + size + [UInt8](repeating: 0, count: count - 8)
      let junk = answer.prefix(32) + [UInt8](repeating: 7, count: count - 32)
      for bytes in [answer, Array(junk)] {
        let said = refusal { _ = try ReportContainer(bytes) }
        #expect(said?.code == .reportLength)
        #expect(
          said?.what.description.contains("status 0x\(String(status, radix: 16)): no report")
            == true)
      }
    }
  }

  @Test func theClaimsOfAVTPMAreBound() throws {
    let container = try ReportContainer(ReportForms.hcl())
    let report = try Fixture.read("\(ReportForms.azure).report.bin")
    #expect(container.form == .hcl)
    #expect(container.report == report)
    let hcl = try #require(container.hcl)
    #expect(hcl.claims == (try Fixture.read("\(ReportForms.azure).binding.json")))
    #expect(hcl.hashName == "SHA-256")
    #expect(hcl.reportData == Array(report[0x50..<0x90]))
    for (type, hash, offset) in [(4, 1, 0x4C8), (2, 0, 0x4CC), (2, 4, 0x4CC)]
      as [(UInt32, UInt32, UInt64)]
    {
      let said = refusal { _ = try ReportContainer(ReportForms.hcl(type: type, hash: hash)) }
      #expect(said?.code == .reportLength)
      #expect(said?.offset == offset)
    }
    let bytes = try ReportForms.hcl()
    for count in 4..<bytes.count - 254 {
      #expect(refusalCode { _ = try ReportContainer(Array(bytes[..<count])) } == .reportLength)
    }
  }

  /// Rows: a file without a report, and a part of what is said of it.
  @Test(
    arguments: [
      ("{}", "JSON: {}"), ("[1, 2]", "JSON: [1"), ("[1, 256]", "JSON: ["), ("", "empty"),
      (#"{"outblob": 5}"#, "outblob is not bytes"), (#"{"outblob": "AA=="}"#, "outblob holds no"),
      (#"{"outblob": "AA==", "outblob": "AA=="}"#, "twice"),
      (#"{"outblob": "AA==", "provider": "tdx_guest"}"#, "another provider"),
      (#"{"attestation_report": {"version": 2}}"#, "attestation_report is not bytes"),
      ("00000000: 0300 0000 0a00 0000 1f00  ....", "xxd -r"), ("00ff", "hex"),
      ("nothing here", "text:"),
    ])
  func whatHoldsNoReportIsSaid(text: String, said: String) {
    let found = refusal { _ = try ReportContainer(Array(text.utf8)) }
    #expect(found?.code == .reportLength)
    #expect(found?.description.contains(said) == true, "\(found?.description ?? "nothing")")
  }

  /// Reading takes time linear in the file: a mebibyte of each is no long wait.
  @Test(arguments: ["[0,", "00", "AA", "{\"a\":", "-----BEGIN A-----\n", "\u{0}"])
  func aLargeFileThatIsNoReportIsRefused(unit: String) {
    let bytes = Array(String(repeating: unit, count: (1 << 20) / unit.utf8.count).utf8)
    #expect(refusalCode { _ = try ReportContainer(bytes) } == .reportLength)
    let code = refusalCode { _ = try SuppliedCertificates(file: bytes) }
    #expect(code == .certificateSyntax || code == .certificateTable)
  }
}
