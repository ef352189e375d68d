import Cryptography
import Errors
import JSON
import SEVSNP
import SVSM
import TestSupport
import Testing
import Tools
import Wire

extension GenuinePair {
  fileprivate var reportPath: String { Fixture.path(report) }
  fileprivate var certificatePath: String { Fixture.path(certificate) }
}

@Suite struct AttestTests {
  private func attest(
    _ arguments: [String], output: Program.Output = .collected
  ) throws -> Program.Outcome {
    try Program.runTool("svsm-mig-attest", arguments, output: output)
  }

  private func verdict(_ arguments: [String], status: Int32) throws -> JSON {
    let outcome = try attest(["verify", "--json"] + arguments)
    #expect(outcome.status == status)
    return try outcome.json
  }

  @Test(arguments: GenuinePair.all)
  func aGenuineReportIsAcceptedAsGenuine(pair: GenuinePair) throws {
    let found = try verdict(
      [pair.reportPath, "--cert", pair.certificatePath, "--at", "issue"],
      status: 0)
    #expect(found["verdict"]?.string == "genuine")
    #expect(found["genuine"]?.bool == true)
    #expect(found["root"]?.string == "AMD \(pair.product)")
    #expect(found["refusal"] == nil)
    #expect(found["checks"]?.array?.count == AttestationCheck.Name.allCases.count)
  }

  @Test(arguments: GenuinePair.all)
  func aMigrationsDemandsAreStricter(pair: GenuinePair) throws {
    let found = try verdict(
      [pair.reportPath, "--cert", pair.certificatePath, "--at", "issue", "--for-migration"],
      status: pair.refusal == nil ? 0 : 65)
    #expect(found["refusal"]?["code"]?.string == pair.refusal?.rawValue)
    #expect(found["verdict"]?.string == (pair.refusal == nil ? "genuine" : "refused"))
  }

  @Test(arguments: [
    ("neg-milan-v2-wrong-chip-kinvolk", "neg-milan-v2-wrong-chip-kinvolk", "REPORT-CHIP"),
    ("milan-v3-ccf", "neg-milan-cert-hwid-raw-badsig-trustee", "CERT-CHAIN"),
    ("milan-v3-ccf", "neg-milan-cert-hwid-octetstring-badsig-trustee", "CERT-CHAIN"),
    ("milan-v3-ccf", "milan-v3-sidecar", "REPORT-CHIP"),
    ("milan-v3-ccf", "chainonly-turin-vcek-virtee", "REPORT-PRODUCT"),
    ("turin-v5-ccf", "milan-v3-ccf", "REPORT-PRODUCT"),
    ("neg-genoa-v2-nocert-routex", nil, "CERT-MISSING"),
  ])
  func aPairThatDoesNotBelongTogetherIsRefused(
    report: String, leaf: String?, code: String
  ) throws {
    let certificate = leaf.map { ["--cert", Fixture.path("attestation/\($0).vcek.der")] } ?? []
    let arguments =
      [Fixture.path("attestation/\(report).report.bin"), "--at", "issue"] + certificate
    let found = try verdict(arguments, status: 65)
    #expect(found["verdict"]?.string == "refused")
    #expect(found["refusal"]?["code"]?.string == code)
    #expect(found["refusal"]?["status"]?.string == "refused")
    let text = try attest(["verify"] + arguments)
    #expect(text.status == 65)
    #expect(text.text.contains("FAILED"))
    #expect(text.text.contains("[\(code)]"))
    #expect(text.text.contains("\nREFUSED: "))
  }

  @Test func weaknessesOfAGenuineGuestAreSaid() throws {
    let debug = try #require(GenuinePair.all.first)
    let found = try verdict(
      [debug.reportPath, "--cert", debug.certificatePath, "--at", "issue"], status: 0)
    #expect(found["warnings"]?.array?.contains { $0.string?.contains("debug") == true } == true)
    let checks = found["checks"]?.array ?? []
    let check = checks.first { $0["name"]?.string == "debug-off" }
    #expect(check?["outcome"]?.string == "not-checked")
    #expect(check?["reason"]?.string == "not demanded (this report: debugging is allowed)")
    let text = try attest([
      "verify", debug.reportPath, "--cert", debug.certificatePath, "--at", "issue",
    ])
    #expect(text.text.contains("warning: the guest's policy lets the host debug it"))
    #expect(!text.text.contains("cannot debug"))
    _ = try verdict(
      [
        debug.reportPath, "--cert", debug.certificatePath, "--at", "issue", "--for-migration",
        "--allow-debug",
      ], status: 0)
  }

  @Test func theVLEKExpired() throws {
    let pair = try #require(GenuinePair.all.first { $0.leaf == "vlek" })
    let base = [pair.reportPath, "--cert", pair.certificatePath, "--at"]
    _ = try verdict(base + ["2025-12-09"], status: 0)
    let late = try verdict(base + ["2025-12-12"], status: 65)
    #expect(late["refusal"]?["code"]?.string == "CERT-DATE")
    _ = try verdict(base + ["issue", "--vmpl", "1"], status: 0)
    let level = try verdict(base + ["issue", "--vmpl", "0"], status: 65)
    #expect(level["refusal"]?["code"]?.string == "REPORT-VMPL")
    _ = try verdict(
      base + ["issue", "--for-migration", "--allow-vlek", "--vmpl", "any"], status: 0)
  }

  @Test(arguments: ["genoa-v3-veraison.certtable.bin", "genoa-v3-veraison.vcek.der"])
  func certificatesComeInEveryForm(file: String) throws {
    let report = Fixture.path("attestation/genoa-v3-veraison.report.bin")
    let certificate = Fixture.path("attestation/\(file)")
    _ = try verdict([report, "--cert", certificate, "--at", "issue"], status: 0)
    let certificates = try X509Certificate.read(
      try Fixture.read("attestation/genoa-v3-veraison.vcek.der"))
    let chain = try Fixture.read("attestation/ca/genoa-vcek-chain.pem")
    let guest = try SavedGuest.shared.get()
    let pem = try guest.files.write("chain.pem", chain + Array(certificates[0].pem.utf8))
    _ = try verdict([report, "--cert", pem, "--at", "issue"], status: 0)
  }

  @Test func reportDataIsDemanded() throws {
    let pair = GenuinePair.all[1]
    let bytes = try Fixture.read(pair.report)
    let base = [
      pair.reportPath, "--cert", pair.certificatePath, "--at", "issue",
      "--report-data",
    ]
    _ = try verdict(base + [Hex.encode(bytes[0x50..<0x90])], status: 0)
    let other = try verdict(base + [String(repeating: "5a", count: 64)], status: 65)
    #expect(other["refusal"]?["code"]?.string == "REPORT-DATA")
    #expect(try attest(["verify"] + base + ["5a"]).status == 64)
  }

  @Test func aRefusalIsOneLineWhateverACertificateIsCalled() throws {
    let shop = try Workshop()
    var offer = try Fixture.read("golden/destination.offer")
    let name = try #require(offer.firstRange(of: Array("Engineering".utf8)))
    for byte: UInt8 in [0x0A, 0x1B] {
      offer[name.lowerBound] = byte
      try shop.write("offer", offer)
      let outcome = try shop.run("attest", "verify @offer --trust @offer")
      let again = try shop.run(
        "attest", "verify @offer --trust \(Fixture.path("golden/root.pem"))")
      again.requireRefusal(.certificateMissing)
      #expect(again.errors.contains("OU=\\u{\(String(byte, radix: 16))}ngineering"))
      for errors in [outcome.errors, again.errors] {
        #expect(!errors.dropLast().contains { $0 == "\n" || $0 == "\u{1B}" })
      }
    }
  }

  @Test func anOfferStandsUnderItsRootOnly() throws {
    let guest = try SavedGuest.shared.get()
    let untrusted = try verdict([guest.offerPath], status: 65)
    #expect(untrusted["refusal"]?["code"]?.string == "CERT-ROOT")
    let trusted = try verdict(
      [guest.offerPath, "--trust", guest.rootPath, "--for-migration"], status: 0)
    #expect(trusted["verdict"]?.string == "accepted")
    #expect(trusted["genuine"]?.bool == false)
    let text = try attest(["verify", guest.offerPath, "--trust", guest.rootPath]).text
    #expect(text.contains("NOT AMD'S"))
    #expect(text.contains("proves nothing"))
    // Another key in the offer: the report does not speak for it.
    var bytes = try guest.files.read("destination.offer")
    bytes[60] ^= 1
    let forged = try verdict(
      [try guest.files.write("forged.offer", bytes), "--trust", guest.rootPath], status: 65)
    #expect(forged["refusal"]?["code"]?.string == "REPORT-DATA")
  }

  @Test func showNamesEveryFieldOfAMDsTable() throws {
    for pair in GenuinePair.all {
      let found = try attest(["show", "--json", pair.reportPath]).json
      let version = try #require(found["report"]?["VERSION"]?.int)
      let names = AttestationReport.Layout.fields.map(\.name).filter { name in
        !name.hasPrefix("reserved") && (version >= 3 || !name.hasPrefix("CPUID_"))
          && (version >= 5 || !name.hasSuffix("_MIT_VECTOR"))
      }
      #expect(found["report"]?.members?.map(\.key) == names)
      #expect(found["source"]?.string == "report")
      #expect(found["coding"]?.string == "binary")
      #expect(found["formError"]?.isNull == true)
    }
    let text = try attest(["show", Fixture.path("attestation/turin-v5-ccf.report.bin")]).text
    #expect(text.contains("fmc 1 boot loader 1 tee 1 snp 4 microcode 81"))
    #expect(text.contains("smt, ecc, alias-check-complete, iommu-write-safe"))
    #expect(text.contains("0x1a: Turin"))
  }

  @Test func aReportThatWouldBeRefusedIsShown() throws {
    let guest = try SavedGuest.shared.get()
    var report = try Fixture.read("attestation/milan-v3-ccf.report.bin")
    report[0x4C] = 1
    let path = try guest.files.write("reserved", report)
    let shown = try attest(["show", "--json", path])
    #expect(shown.status == 0)
    #expect(try shown.json["formError"]?["code"]?.string == "REPORT-RESERVED")
  }

  @Test("Of a version that is not known the fields are shown that it shares; it is not verified")
  func aNewerVersionIsShown() throws {
    let guest = try SavedGuest.shared.get()
    var report = try Fixture.read("attestation/turin-v5-ccf.report.bin")
    let known = try attest(["show", "--json", try guest.files.write("known", report)]).json
    // Version 6 fills in bytes that were reserved.
    report[0] = 6
    report[0x220] = 1
    let path = try guest.files.write("version", report)
    let shown = try attest(["show", "--json", path])
    #expect(shown.status == 0)
    #expect(try shown.json["formError"]?["code"]?.string == "REPORT-VERSION")
    for name in ["MEASUREMENT", "REPORTED_TCB", "CHIP_ID", "CURRENT_MIT_VECTOR"] {
      #expect(try shown.json["report"]?[name] == known["report"]?[name])
    }
    let text = try attest(["show", path]).text
    #expect(text.contains("warning: version 6 is not known"))
    #expect(!text.contains("No firmware writes"))
    #expect(try attest(["verify", path]).errors.contains("refused [REPORT-VERSION]"))
  }

  @Test("A report that the host asked for is refused, and shown as such")
  func aReportOfTheHostIsShownAsSuch() throws {
    let guest = try SavedGuest.shared.get()
    var report = try Fixture.read("attestation/milan-v3-ccf.report.bin")
    for (level, words) in [
      (UInt32.max, "asked for by the host, speaks for no guest"), (4, "no guest's level"),
    ] {
      report.replaceSubrange(0x30..<0x34, with: (0..<4).map { UInt8(level >> (8 * $0) & 0xFF) })
      let path = try guest.files.write("host", report)
      #expect(try attest(["show", path]).text.contains(words))
      #expect(try attest(["verify", path]).errors.contains("refused [REPORT-VMPL]"))
    }
  }

  @Test("A report that firmware did not sign is no forgery: it is shown as unsigned")
  func anUnsignedReportIsShownAsSuch() throws {
    let guest = try SavedGuest.shared.get()
    var report = try Fixture.read("attestation/milan-v3-ccf.report.bin")
    for (info, shown, said) in [
      (0x02, "0x2: not signed, chip key masked", "report is not signed: the platform masks"),
      (0x1C, "0x1c: not signed", "report is not signed: no key was asked for"),
    ] as [(UInt8, String, String)] {
      report[0x48] = info
      let path = try guest.files.write("unsigned", report)
      let text = try attest(["show", path]).text
      #expect(text.contains(shown))
      #expect(text.contains("warning: \(said)"))
      #expect(!text.contains("No firmware writes"))
      #expect(
        try attest(["show", "--json", path]).json["formError"]?["what"]?.string?.hasPrefix(said)
          == true)
      try attest(["verify", path]).requireRefusal(.reportSigningKey)
    }
    report[0x48] = 0x08
    let path = try guest.files.write("unsigned", report)
    #expect(try attest(["show", path]).text.contains("No firmware writes such a report"))
  }

  @Test("JSON says who asked for a report")
  func jsonSaysWhoAsked() throws {
    let guest = try SavedGuest.shared.get()
    var report = try Fixture.read("attestation/milan-v3-ccf.report.bin")
    for (level, word) in [(0, "guest"), (3, "guest"), (4, "nobody"), (.max, "host")]
      as [(UInt32, String)]
    {
      report.replaceSubrange(0x30..<0x34, with: (0..<4).map { UInt8(level >> (8 * $0) & 0xFF) })
      let found = try attest(["show", "--json", try guest.files.write("level", report)]).json
      #expect(found["requester"]?.string == word)
    }
  }

  @Test("What nobody signed is marked as not vouched for, in text and JSON")
  func whatNobodySignedIsMarked() throws {
    let guest = try SavedGuest.shared.get()
    let pair = try #require(GenuinePair.all.first { $0.name == "milan-v3-ccf" })
    var report = try Fixture.read(pair.report)
    let call = ["--cert", pair.certificatePath, "--at", "issue", "--for-migration"]
    let good = try attest(["verify", pair.reportPath] + call).text
    #expect(!good.contains("not vouched"))
    #expect(good.contains("  passed       debug-off"))
    report[0x90] ^= 1
    let path = try guest.files.write("changed", report)
    let text = try attest(["verify", path] + call).text
    for name in ["report-requester", "vmpl", "debug-off", "reported-tcb-agrees"] {
      #expect(text.contains("  not vouched  \(name) "))
    }
    for name in ["report-form", "root-trusted", "certificate-names"] {
      #expect(text.contains("  passed       \(name) "))
    }
    #expect(text.contains("\nnot vouched: claimed by the report, not covered by a valid signature"))
    for (json, vouched) in [
      (try verdict([pair.reportPath] + call, status: 0), true),
      (try verdict([path] + call, status: 65), false),
    ] {
      for check in json["checks"]?.array ?? [] {
        #expect((check["vouched"] != nil) == (check["outcome"]?.string == "passed"))
        guard check["name"]?.string == "debug-off" else { continue }
        #expect(check["vouched"]?.bool == vouched)
      }
    }
  }

  @Test("Who has no certificate is told where the key server has it")
  func theCertificatesAddressIsPrinted() throws {
    let rows = [
      (
        "milan-v3-ccf",
        ["vcek/v1/Milan/4ffb5cb4fd594f3f", "?blSPL=04&teeSPL=00&snpSPL=24&ucodeSPL=219"]
      ),
      (
        "turin-v5-ccf",
        ["vcek/v1/Turin/59790fb1c39f35c1?fmcSPL=01&blSPL=01&teeSPL=01&snpSPL=04&ucodeSPL=81"]
      ),
      ("milan-v2-virtee", ["vcek/v1/Milan/", "vcek/v1/Genoa/"]),
      ("milan-v3-vlek-trustee", ["SEV-VLEK from the provider"]),
    ]
    for (name, parts) in rows {
      let path = Fixture.path("attestation/\(name).report.bin")
      let outcome = try attest(["verify", path])
      outcome.requireRefusal(.certificateMissing)
      let found = try attest(["show", "--json", path]).json["vcekAddresses"]?.array ?? []
      #expect(found.count == parts.count { $0.contains("/v1/") })
      for part in parts { #expect(outcome.errors.contains(part), "\(name)") }
    }
  }

  @Test func aFullDiskIsAFailure() throws {
    for command in ["show", "verify"] {
      let outcome = try attest(
        [command, GenuinePair.all[0].reportPath], output: .file("/dev/full"))
      #expect(outcome.status == 74)
      #expect(outcome.errors.contains("failed [IO-WRITE]"))
    }
  }
}
