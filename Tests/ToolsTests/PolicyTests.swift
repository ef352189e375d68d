import Errors
import Foundation
import JSON
import SEVSNP
import SVSM
import TestSupport
import Testing
import Wire

/// `--policy` of the tools.
@Suite struct PolicyTests {
  private let shop: Workshop

  /// A guest, a destination, and its offer with a report that has something in every field.
  init() throws {
    shop = try Workshop()
    try shop.must("guest", "create -o @guest --memory 64K --seed 07")
    try shop.prepare("there")
    try shop.write(
      "rich.recipe",
      """
      set offer.report.VERSION 05000000
      set offer.report.GUEST_SVN 03000000
      set offer.report.FAMILY_ID \(String(repeating: "11", count: 16))
      set offer.report.IMAGE_ID \(String(repeating: "22", count: 16))
      set offer.report.REPORT_ID \(String(repeating: "66", count: 32))
      set offer.report.HOST_DATA \(String(repeating: "33", count: 32))
      set offer.report.ID_KEY_DIGEST \(String(repeating: "44", count: 48))
      set offer.report.AUTHOR_KEY_DIGEST \(String(repeating: "55", count: 48))
      set offer.report.KEY_INFO 01000000
      set offer.report.PLATFORM_INFO 25
      set offer.report.LAUNCH_MIT_VECTOR 3f
      set offer.report.CURRENT_MIT_VECTOR 7f
      sign report

      """)
    try shop.must("attack", "--recipe @rich.recipe @there.offer -o @rich.offer")
  }

  private func write(_ name: String, _ members: String) throws {
    try shop.write(name, "{\"schema\": \"svsm-migration/policy/1\", \(members)}\n")
  }

  private func fields(of offer: String) throws -> AttestationReport.Fields {
    try AttestationReport(MigrationData(shop.read(offer)).report).fields
  }

  // MARK: Demands

  @Test("A demand that comes twice is a mistake of the call: one would not be heard")
  func noDemandIsDropped() throws {
    let digests = ["11", "22"].map { String(repeating: $0, count: 48) }
    for words in [
      "--policy @one.json --policy @two.json",
      "--measurement \(digests[0]) --measurement \(digests[1])", "--vmpl 0 --vmpl any",
      "--at issue --at 2025-01-01",
    ] {
      #expect(try shop.run("attest", "verify @rich.offer --trust @root.pem \(words)").status == 64)
    }
  }

  private static func tcb(_ key: String, snp: Int = 24, microcode: Int = 219) -> String {
    """
    "\(key)": [{"product": "Genoa", "bootLoader": 0, "tee": 0, "snp": 0, "microcode": 0},
      {"product": "Milan", "bootLoader": 4, "tee": 0, "snp": \(snp), "microcode": \(microcode)}]
    """
  }

  private static func list(_ key: String, _ byte: String, _ count: Int) -> String {
    #""\#(key)": ["\#(String(repeating: "99", count: count))", "\#(String(repeating: byte, count: count))"]"#
  }

  private static func bytes(_ key: String, _ byte: String, _ count: Int) -> String {
    #""\#(key)": "\#(String(repeating: byte, count: count))""#
  }

  /// Rows: a demand that the offer meets, one that it does not, its check and code. `@` is the report's own image,
  /// `$` its chip.
  static let demands: [(good: String, bad: String, check: String, code: ErrorCode)] = [
    (
      #""measurements": ["@"]"#, list("measurements", "5a", 48), "measurement", .reportMeasurement
    ),
    (tcb("minimumTCB"), tcb("minimumTCB", snp: 25, microcode: 0), "minimum-tcb", .reportTCB),
    (
      tcb("minimumLaunchTCB"), tcb("minimumLaunchTCB", microcode: 220), "launch-tcb", .reportTCB
    ),
    (#""guestPolicy": "0x30000""#, #""guestPolicy": "0x20000""#, "guest-policy", .reportPolicy),
    (#""minimumGuestSVN": 3"#, #""minimumGuestSVN": 4"#, "guest-svn", .reportIdentity),
    (bytes("familyID", "11", 16), bytes("familyID", "12", 16), "identity", .reportIdentity),
    (bytes("imageID", "22", 16), bytes("imageID", "21", 16), "identity", .reportIdentity),
    (bytes("reportID", "66", 32), bytes("reportID", "67", 32), "identity", .reportIdentity),
    (bytes("reportIDMA", "ff", 32), bytes("reportIDMA", "fe", 32), "identity", .reportIdentity),
    (bytes("hostData", "33", 32), bytes("hostData", "34", 32), "host-data", .reportIdentity),
    (list("idKeyDigests", "44", 48), list("idKeyDigests", "45", 48), "id-key", .reportIdentity),
    (
      list("authorKeyDigests", "55", 48), list("authorKeyDigests", "56", 48), "author-key",
      .reportIdentity
    ),
    (#""chips": ["$"]"#, list("chips", "5a", 64), "chip-welcome", .reportChip),
    (
      #""platformInfo": {"required": ["smt", "ecc"], "forbidden": ["tsme"]}"#,
      #""platformInfo": {"required": ["smt", "sev-tio"]}"#, "platform-info", .reportPlatform
    ),
    (
      #""platformInfo": {"forbidden": ["sev-tio"]}"#, #""platformInfo": {"forbidden": ["ecc"]}"#,
      "platform-info", .reportPlatform
    ),
    (
      #""minimumFirmware": "1.55.29""#, #""minimumFirmware": "1.55.30""#, "firmware",
      .reportPlatform
    ),
    (
      #""requiredMitigations": "0x3f""#, #""requiredMitigations": "0x7f""#, "mitigations",
      .reportPlatform
    ),
  ]

  @Test(
    "What a policy demands, a save takes when the offer shows it and refuses when not; so does attest",
    arguments: demands)
  func aDemandIsMetOrRefused(
    good: String, bad: String, check: String, code: ErrorCode
  ) throws {
    let fields = try fields(of: "rich.offer")
    let own = good.replacing("@", with: Hex.encode(fields.measurement))
      .replacing("$", with: Hex.encode(fields.chipID))
    try write("good", own)
    try write("bad", bad)
    let save = "@guest -o @stream --force --to @rich.offer --trust @root.pem --policy"
    try shop.must("save", "\(save) @good")
    try shop.remove("stream")
    let refused = try shop.run("save", "\(save) @bad")
    refused.requireRefusal(code)
    #expect(refused.errors.contains("section report"))
    #expect(!shop.exists("stream"))
    let attest = "verify @rich.offer --trust @root.pem --json --policy"
    for (policy, outcome, status) in [("good", "passed", 0), ("bad", "failed", 65)]
      as [(String, String, Int32)]
    {
      let verdict = try shop.run("attest", "\(attest) @\(policy)")
      #expect(verdict.status == status, "\(verdict.errors)")
      let checks = try verdict.json["checks"]?.array ?? []
      #expect(checks.map { $0["name"]?.string } == AttestationCheck.Name.allCases.map(\.rawValue))
      let found = try #require(checks.first { $0["name"]?.string == check })
      #expect(found["outcome"]?.string == outcome)
      #expect(found["code"]?.string == (status == 0 ? nil : code.rawValue))
    }
    let text = try shop.run("attest", "verify @rich.offer --trust @root.pem --policy @bad").text
    #expect(text.contains("FAILED       \(check) "))
    #expect(text.contains("[\(code.rawValue)]"))
  }

  @Test("Committed firmware is demanded, and a platform that can be rolled back is refused")
  func firmwareMustBeCommitted() throws {
    try write("policy", #""committedTCB": true"#)
    try shop.write("recipe", "set offer.report.CURRENT_TCB+7 dc\nsign report\n")
    try shop.must("attack", "--recipe @recipe @there.offer -o @newer.offer")
    let save = "@guest -o @stream --force --trust @root.pem"
    try shop.must("save", "\(save) --to @there.offer --policy @policy")
    try shop.must("save", "\(save) --to @newer.offer")
    try shop.run("save", "\(save) --to @newer.offer --policy @policy").requireRefusal(.reportTCB)
  }

  @Test("A TCB that is old and consistent is refused by a policy only")
  func anOldTCBThatIsConsistentIsRefusedByAPolicyOnly() throws {
    // Launched under firmware long gone: nothing in the report contradicts it.
    try shop.write("recipe", "set offer.report.LAUNCH_TCB zero\nsign report\n")
    try shop.must("attack", "--recipe @recipe @there.offer -o @old.offer")
    let save = "@guest -o @stream --force --to @old.offer --trust @root.pem"
    try shop.must("save", save)
    let model = Fixture.path("policies/model.json")
    try shop.run("save", "\(save) --policy \(model)").requireRefusal(.reportTCB)
    // The whole platform is older than what is demanded.
    let newer = Fixture.path("policies/newer-tcb.json")
    try shop.run(
      "save", "@guest -o @stream --force --to @there.offer --trust @root.pem --policy \(newer)"
    ).requireRefusal(.reportTCB)
  }

  @Test("A provider that is named brings a VLEK's report through a save; no other does")
  func aWelcomeProviderIsTaken() throws {
    let offer = try shop.read("there.offer")
    let variant = "model-platform/variants/vlek.der"
    let table = try CertificateTable([
      .init(.vlek, Fixture.read(variant)), .init(.ask, Fixture.read("model-platform/asvk.der")),
      .init(.ark, Fixture.read("model-platform/ark.der")),
    ]).bytes()
    var length: [UInt8] = []
    length.append(bigEndian: UInt32(table.count))
    try shop.write("vlek.bare", Array(offer[..<124]) + length + Array(offer[128..<1312]) + table)
    try shop.write(
      "recipe",
      "set offer.report.KEY_INFO 04000000\nset offer.report.CHIP_ID zero\nsign report\n")
    try shop.must("attack", "--recipe @recipe @vlek.bare -o @vlek.offer")
    let shown = try shop.run(
      "attest", "verify @vlek.offer --trust @root.pem --for-migration --allow-vlek")
    #expect(shown.status == 0, "\(shown.errors)")
    let line = try #require(shown.text.split(separator: "\n").first { $0.contains("provider ") })
    let provider = try #require(line.split(separator: " ").last)
    try write("welcome", #""providers": ["CN=somebody", "\#(provider)"]"#)
    try write("others", #""providers": ["CN=somebody"]"#)
    let save = "@guest -o @stream --force --to @vlek.offer --trust @root.pem"
    try shop.run("save", save).requireRefusal(.reportSigningKey)
    try shop.run("save", "\(save) --policy @others").requireRefusal(.reportSigningKey)
    try shop.must("save", "\(save) --policy @welcome")
    // What `--allow-vlek` takes, a policy that names others does not.
    try shop.run(
      "attest", "verify @vlek.offer --trust @root.pem --allow-vlek --policy @others"
    ).requireRefusal(.reportSigningKey)
  }

  @Test(
    "A source takes no destination under a weaker guest policy than its own, and any stricter one")
  func aSourceGivesUpNoPromise() throws {
    // SMT less; single socket more; CXL allowed; an ABI that is older than none.
    for (policy, isTaken) in [
      ("000002", true), ("000012", true), ("1f0003", true), ("000023", false),
    ] {
      try shop.write("recipe", "set offer.report.POLICY \(policy)0000000000\nsign report\n")
      try shop.must("attack", "--recipe @recipe @there.offer -o @other.offer --force")
      let outcome = try shop.run(
        "save", "@guest -o @stream --force --to @other.offer --trust @root.pem")
      if isTaken {
        #expect(outcome.status == 0, "\(outcome.errors)")
      } else {
        outcome.requireRefusal(.reportPolicy)
        #expect(outcome.errors.contains("less strict than its peer's"))
      }
    }
  }

  // MARK: Sources

  @Test(
    "A load demands of its source what its policy says, and leaves nothing when it is not shown")
  func aLoadHoldsItsSourceAgainstAPolicy() throws {
    try shop.must("save", "@guest -o @stream --to @there.offer --trust @root.pem")
    let load = "@stream --instance @there.svsm -o @out --trust @root.pem --policy"
    let refused = try shop.run("load", "\(load) \(Fixture.path("policies/newer-tcb.json"))")
    refused.requireRefusal(.reportTCB)
    // The byte is the stream's: the report lies behind the session's fixed part.
    #expect(refused.errors.contains("byte 0x2ed"))
    // The chip is the destination's, not the source's.
    let chip = Hex.encode(try fields(of: "there.offer").chipID)
    try write("own-chip", #""chips": ["\#(chip)"]"#)
    try shop.run("load", "\(load) @own-chip").requireRefusal(.reportChip)
    try shop.run("load", "\(load) @guest/guest.json").requireRefusal(.policySyntax)
    #expect(!shop.exists("out"))
    try shop.must("load", "\(load) \(Fixture.path("policies/model.json"))")
    try shop.requireSame("guest", "out")
  }

  @Test("With a policy a session without a report is refused for want of one")
  func aSessionWithoutAReportIsRefused() throws {
    try shop.must("save", "@guest -o @stream --to @there.offer --trust @root.pem --one-way")
    let model = Fixture.path("policies/model.json")
    let load = "@stream --instance @there.svsm -o @out --trust @root.pem"
    try shop.run("load", "\(load) --policy \(model)").requireRefusal(.sessionOneWay)
    #expect(try shop.run("load", "\(load) --one-way --policy \(model)").status == 64)
    try shop.must("load", "\(load) --one-way")
  }

  @Test("A verifier holds each report it checks against the policy, and says whose it was")
  func aVerifierHoldsBothReportsAgainstAPolicy() throws {
    try shop.must("save", "@guest -o @stream --to @there.offer --trust @root.pem")
    let chip = Hex.encode(try fields(of: "there.offer").chipID)
    try write("destination", #""chips": ["\#(chip)"]"#)
    func outcomes(_ line: String, status: Int32) throws -> [String: String] {
      let outcome = try shop.run("verify", "@stream --trust @root.pem --json \(line)")
      #expect(outcome.status == status, "\(outcome.errors)")
      let json = try outcome.json
      if status == 65 { #expect(json["refusal"]?["code"]?.string == "REPORT-CHIP") }
      return (json["properties"]?.array ?? []).reduce(into: [:]) {
        $0[$1["name"]?.string ?? ""] = $1["outcome"]?.string
      }
    }
    for keys in ["--offer @there.offer", "--instance @there.svsm"] {
      let found = try outcomes("\(keys) --policy @destination", status: 65)
      #expect(found["source-attestation"] == "refuted")
      #expect(found["destination-attestation"] == "proven")
    }
    let model = Fixture.path("policies/model.json")
    let good = try outcomes("--offer @there.offer --policy \(model)", status: 0)
    #expect(good["source-attestation"] == "proven")
    #expect(good["destination-attestation"] == "proven")
    // The other way round: the source's chip is welcome, the destination's is not.
    let source = try #require(
      try shop.run("inspect", "@stream --json").json["session"]?["sourceReport"]?["chipID"]?.string)
    try write("source", #""chips": ["\#(source)"]"#)
    let other = try outcomes("--offer @there.offer --policy @source", status: 65)
    #expect(other["source-attestation"] == "proven")
    #expect(other["destination-attestation"] == "refuted")
    try shop.write("plain", Fixture.read("qemu/pc100-boot/stream.xz"))
    try shop.run("verify", "@plain --policy @source").requireRefusal(.streamKind)
  }

  // MARK: Files

  @Test("A policy comes from standard input where no other input does")
  func aPolicyComesFromStandardInput() throws {
    let outcome = try shop.run(
      "attest", "verify @there.offer --trust @root.pem --policy -",
      input: Fixture.path("policies/newer-tcb.json"))
    outcome.requireRefusal(.reportTCB)
    try shop.run(
      "save", "@guest -o @stream --to @there.offer --trust @root.pem --policy -",
      input: Fixture.path("policies/other-chip.json")
    ).requireRefusal(.reportChip)
  }

  @Test(
    "A policy that is none, missing, too long or the output ends the call before anything is made")
  func aPolicyThatIsNoneEndsTheCall() throws {
    let save = "@guest -o @stream --to @there.offer --trust @root.pem --policy"
    try write("misspelt", #""minimumGuestSVM": 3"#)
    let misspelt = try shop.run("save", "\(save) @misspelt")
    misspelt.requireRefusal(.policySyntax)
    #expect(misspelt.errors.contains("/minimumGuestSVM is not known, section policy"))
    try shop.run("save", "\(save) @nothing").requireRefusal(.inputOpen)
    try shop.write("long", [UInt8](repeating: 0x20, count: (1 << 20) + 1))
    #expect(try shop.run("save", "\(save) @long").status != 0)
    try shop.write("no-text", [0xFF, 0xFE])
    try shop.run("save", "\(save) @no-text").requireRefusal(.policySyntax)
    #expect(!shop.exists("stream"))
    try write("policy", #""guestPolicy": "0x30000""#)
    let same = "--force --trust @root.pem --policy @policy -o @policy"
    try shop.run("save", "@guest --to @there.offer \(same)").requireRefusal(.outputSame)
    try shop.must("save", "@guest -o @stream --to @there.offer --trust @root.pem")
    try shop.run("load", "@stream --instance @there.svsm \(same)").requireRefusal(.outputSame)
  }

  @Test("--measurement beside a policy must be one of the policy's, and is then the only one")
  func aMeasurementNarrowsAPolicy() throws {
    let report = "verify @there.offer --trust @root.pem --measurement"
    let own = Hex.encode(try fields(of: "there.offer").measurement)
    let other = String(repeating: "5a", count: 48)
    try write("both", #""measurements": ["\#(other)", "\#(own)"]"#)
    try shop.must("attest", "\(report) \(own) --policy @both")
    try shop.run("attest", "\(report) \(other) --policy @both").requireRefusal(.reportMeasurement)
    try shop.run("attest", "\(report) \(other)").requireRefusal(.reportMeasurement)
    try write("own", #""measurements": ["\#(own)"]"#)
    #expect(try shop.run("attest", "\(report) \(other) --policy @own").status == 64)
  }

  @Test(
    "Genuine reports meet the policies written for them, and not another's",
    arguments: [
      ("milan-v3-ccf", "vcek", "milan", nil), ("milan-v3-ccf", "vcek2", "milan", nil),
      ("turin-v5-ccf", "vcek", "turin", nil), ("milan-v3-oak-a", "vcek", "milan", .reportPolicy),
      ("turin-v5-ccf", "vcek", "milan", .reportMeasurement),
      ("milan-v3-azure-a-trustee", "vcek", "other-chip", nil),
      ("milan-v2-virtee", "vcek", "newer-tcb", .reportTCB),
      ("genoaclass-v5-a-lunal", "vcek", "mitigations", .reportPlatform),
      ("milan-v3-vlek-trustee", "vlek", "provider", nil),
      ("milan-v3-vlek-trustee", "vlek", "other-provider", .reportSigningKey),
    ] as [(String, String, String, ErrorCode?)])
  func genuineReportsMeetPolicies(
    name: String, leaf: String, policy: String, refusal: ErrorCode?
  ) throws {
    let report = Fixture.path("attestation/\(name)")
    let outcome = try shop.run(
      "attest",
      "verify \(report).report.bin --cert \(report).\(leaf).der --at issue --policy "
        + Fixture.path("policies/\(policy).json"))
    if let refusal {
      outcome.requireRefusal(refusal)
    } else {
      #expect(outcome.status == 0, "\(outcome.errors)")
      #expect(outcome.text.contains("GENUINE"))
    }
  }
}
