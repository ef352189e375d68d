import Errors
import JSON
import TestSupport
import Testing
import Wire

/// The forms in which reports, certificates and what is demanded of them reach `svsm-mig-attest`.
@Suite struct AttestFormsTests {
  private let shop: Workshop
  private let genoa = "attestation/genoa-v3-veraison"

  init() throws { shop = try Workshop() }

  @Test func aReportBringsItsCertificates() throws {
    let report = try Fixture.read("\(genoa).report.bin")
    let table = try Fixture.read("\(genoa).certtable.bin")
    try shop.write("both", report + table)
    let found = try shop.must("attest", "verify @both --at issue --json").json
    #expect(found["verdict"]?.string == "genuine")
    #expect(found["source"]?.string == "report")
    #expect(found["supplied"]?.int == 3)
    try shop.write("ioctl", ReportForms.responseBuffer(report) + table)
    let text = try shop.must("attest", "verify @ioctl --at issue").text
    #expect(text.contains("MSG_REPORT_RSP, in binary"))
    #expect(text.contains("GENUINE"))
    try shop.write("hex", Array(Hex.encode(report + table).utf8))
    #expect(try shop.must("attest", "show @hex").text.contains("report, in hex"))
  }

  @Test func aVTPMsClaimsAreVerified() throws {
    var hcl = try ReportForms.hcl()
    try shop.write("vcek.der", Fixture.read("\(ReportForms.azure).vcek.der"))
    try shop.write("hcl", hcl)
    let call = "verify @hcl --cert @vcek.der --at issue"
    let found = try shop.must("attest", "\(call) --json").json
    #expect(found["verdict"]?.string == "genuine")
    #expect(found["claims"]?["bound"]?.bool == true)
    let shown = try shop.must("attest", "show @hcl").text
    #expect(shown.contains("1110 bytes; REPORT_DATA is their SHA-256"))
    try shop.run("attest", "\(call) --report-data \(String(repeating: "5a", count: 64))")
      .requireRefusal(.reportData)
    hcl[0x4D4 + 100] ^= 1
    try shop.write("hcl", hcl)
    try shop.run("attest", call).requireRefusal(.reportData)
    #expect(try shop.must("attest", "show @hcl").text.contains("REPORT_DATA is NOT their SHA-256"))
  }

  @Test func theFirmwaresStatusIsSaid() throws {
    try shop.write("answer", [0x16] + [UInt8](repeating: 0, count: 3999))
    for command in ["show", "verify"] {
      let outcome = try shop.run("attest", "\(command) @answer")
      outcome.requireRefusal(.reportLength)
      #expect(outcome.errors.contains("the firmware answered with status 0x16: no report"))
    }
  }

  @Test func anOfferIsShownWhateverItsTable() throws {
    var offer = try Fixture.read("golden/destination.offer")
    let vcek: [UInt8] = [0x63, 0xDA, 0x75, 0x8D, 0xE6, 0x64, 0x45, 0x64]
    let entry = try #require(offer.firstRange(of: vcek))
    offer[entry.lowerBound + 19] = 0xFF
    try shop.write("offer", offer)
    #expect(try shop.must("attest", "show @offer --json").json["supplied"]?.int == 0)
    try shop.must("attest", "show @offer")
    try shop.run("attest", "verify @offer").requireRefusal(.certificateTable)
  }

  @Test func unknownEntriesOfATableAreSaid() throws {
    var table = try Fixture.read("\(genoa).certtable.bin")
    table[48] ^= 1
    try shop.write("table", table)
    try shop.write("report", Fixture.read("\(genoa).report.bin"))
    let outcome = try shop.run("attest", "verify @report --cert @table --at issue")
    outcome.requireRefusal(.certificateMissing)
    let note = "1 entry of the certificate table is of unknown kind"
    #expect(outcome.errors.contains(note))
    #expect(outcome.text.contains(note))
    let json = try shop.run("attest", "verify @report --cert @table --at issue --json").json
    #expect(json["unknownEntries"]?.int == 1)
  }

  @Test func whatIsDemandedIsReadHoweverItIsWritten() throws {
    let report = try Fixture.read("\(genoa).report.bin")
    try shop.write("report", report)
    try shop.write("table", Fixture.read("\(genoa).certtable.bin"))
    let data = Array(report[0x50..<0x90])
    let digest = Array(report[0x90..<0xC0])
    try shop.write("data", data)
    try shop.write("data.hex", Array("0x\(Hex.encode(data))\n".utf8))
    try shop.write("short", Array(data.dropLast()))
    let base = "verify @report --cert @table --at issue"
    let path = shop["data"]
    let written = [
      Hex.encode(data), "0x" + Hex.encode(data),
      String(decoding: Base64.encode(data), as: UTF8.self),
      "@\(path)", "@\(path).hex",
    ]
    for text in written {
      let words = shop.words("attest", base) + ["--report-data", text]
      #expect(try #require(Program.run(words)).status == 0, "\(text)")
    }
    try shop.must("attest", "\(base) --measurement 0x\(Hex.encode(digest))")
    let other = [UInt8](repeating: 0x5A, count: 64)
    try shop.run("attest", "\(base) --report-data 0x\(Hex.encode(other))")
      .requireRefusal(.reportData)
    for (text, status) in [("0x5a", 64), ("@\(shop["short"])", 64), ("@\(shop["none"])", 66)] {
      let words = shop.words("attest", base) + ["--report-data", text]
      #expect(try #require(Program.run(words)).status == Int32(status), "\(text)")
    }
  }

  @Test func aPolicySaysThatItTakesNo0x() throws {
    let measurement = "0x" + String(repeating: "5a", count: 48)
    let policy = #"{"schema": "svsm-migration/policy/1", "measurements": ["\#(measurement)"]}"#
    try shop.write("policy", Array(policy.utf8))
    try shop.write("report", Fixture.read("\(genoa).report.bin"))
    let outcome = try shop.run("attest", "verify @report --policy @policy")
    outcome.requireRefusal(.policySyntax)
    #expect(outcome.errors.contains("48 bytes in hex, without 0x"))
  }
}
