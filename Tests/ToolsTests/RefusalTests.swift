import Errors
import JSON
import TestSupport
import Testing

@Suite struct RefusalTests {
  /// A seeded stream for `there`, made by the instance `here`.
  private func shop(_ saveOptions: String = "") throws -> Workshop {
    let shop = try Workshop()
    try shop.makeGuest(memory: "128K")
    try shop.prepare("here", chip: 1)
    try shop.prepare("there")
    try shop.must(
      "save",
      "@guest -o @stream --from @here.svsm --to @there.offer --trust @root.pem" + saveOptions)
    return shop
  }

  @Test(arguments: [
    ("--instance @other.svsm --trust @root.pem", ErrorCode.sessionRecipient),
    ("--instance @there.svsm", .certificateRoot),
    ("--instance @there.svsm --trust @other-root.pem", .certificateRoot),
    ("--instance @root.pem --trust @root.pem", .instanceSyntax),
    ("--instance @missing --trust @root.pem", .inputOpen),
    ("--instance @there.svsm --trust @there.offer", .certificateSyntax),
    ("--instance @features.svsm --trust @root.pem", .sessionRecipient),
  ])
  func aLoadForSomebodyElseIsRefused(options: String, code: ErrorCode) throws {
    let shop = try shop()
    try shop.prepare("other")
    try shop.must(
      "prepare", "--instance @features.svsm --output @features.offer --sev-features 0x21")
    try shop.write(
      "other-root.pem", Fixture.read("model-platform/variants/other-ark.der"))
    let before = try shop.names
    let outcome = try shop.run("load", "@stream -o @out \(options)")
    outcome.requireRefusal(code)
    #expect(try shop.names == before)
  }

  /// What is damaged in its first bytes may have been an SNP stream: it is not called a plain one.
  @Test(arguments: [
    ("--offer @there.offer", 0, ErrorCode.streamMagic),
    ("--offer @there.offer", 25, .streamTruncated),
    ("--policy @policy", 0, .streamMagic),
  ])
  func damageBeforeTheSessionIsDamage(option: String, length: Int, code: ErrorCode) throws {
    let shop = try shop()
    try shop.write("policy", Fixture.read("policies/model.json"))
    var stream = try shop.read("stream")
    if length > 0 { stream.removeLast(stream.count - length) } else { stream[1] ^= 4 }
    try shop.write("damaged", stream)
    let outcome = try shop.run("verify", "@damaged " + option)
    outcome.requireRefusal(code)
    #expect(outcome.text.contains("refuted "), "there is a ledger")
    #expect(outcome.errors.contains("byte 0x"))
  }

  @Test func anInstanceLoadsOnce() throws {
    let shop = try shop()
    try shop.must("load", "@stream --instance @there.svsm -o @out --trust @root.pem")
    let again = try shop.run("load", "@stream --instance @there.svsm -o @two --trust @root.pem")
    again.requireRefusal(.instanceUsed)
    #expect(!shop.exists("two"))
  }

  @Test func ofRunsAtTheSameTimeOneLoads() async throws {
    let shop = try shop()
    let calls = (0..<4).map { index in
      shop.words("load", "@stream --instance @there.svsm -o @out\(index) --trust @root.pem")
    }
    let outcomes = await withTaskGroup(of: Program.Outcome?.self) { group in
      for call in calls { group.addTask { Program.run(call) } }
      return await group.reduce(into: []) { $0.append($1) }
    }
    #expect(outcomes.filter { $0?.status == 0 }.count == 1)
    for outcome in outcomes where outcome?.status != 0 {
      try #require(outcome).requireRefusal(.instanceUsed)
    }
    #expect(try shop.names.filter { $0.hasPrefix("out") }.count == 1)
    #expect(try shop.names.allSatisfy { !$0.contains("partial") })
  }

  @Test func anInstanceSavesOnce() throws {
    let shop = try shop()
    let again = try shop.run(
      "save", "@guest -o @two --from @here.svsm --to @there.offer --trust @root.pem")
    again.requireRefusal(.instanceUsed)
    #expect(!shop.exists("two"))
  }

  @Test func aRefusedLoadLeavesTheInstanceReady() throws {
    let shop = try shop()
    let before = try shop.read("there.svsm")
    try shop.run("load", "@stream --instance @there.svsm -o @out").requireRefusal(.certificateRoot)
    #expect(try shop.read("there.svsm") == before)
    try shop.must("load", "@stream --instance @there.svsm -o @out --trust @root.pem")
  }

  @Test func aSeededStreamMustBeAccepted() throws {
    let shop = try shop(" --seed 01")
    try shop.run("load", "@stream --instance @there.svsm -o @out --trust @root.pem")
      .requireRefusal(.sessionSeeded)
    try shop.must(
      "load", "@stream --instance @there.svsm -o @out --trust @root.pem --accept-seeded")
  }

  @Test func aOneWayStreamMustBeAccepted() throws {
    let shop = try shop(" --one-way")
    try shop.run("load", "@stream --instance @there.svsm -o @out --trust @root.pem")
      .requireRefusal(.sessionOneWay)
    try shop.must("load", "@stream --instance @there.svsm -o @out --trust @root.pem --one-way")
  }

  @Test func aGuestWithOtherFeaturesNeedsAnInstanceForThem() throws {
    let shop = try Workshop()
    try shop.makeGuest(memory: "128K")
    var vmsa = try shop.read("guest/vcpu-0.vmsa")
    vmsa[0x3B0] = 0x21
    try shop.write("vmsa", vmsa)
    try shop.must("guest", "import @guest/ram-0.bin -o @other --vmsa @vmsa")
    for (features, code) in [("0x21", nil), ("0x1", ErrorCode.vcpuFeatures)] {
      try shop.must(
        "prepare",
        "--instance @there.svsm --output @there.offer --root-out @root.pem --force --sev-features "
          + features)
      try shop.must("save", "@other -o @stream --to @there.offer --trust @root.pem --force")
      let load = try shop.run(
        "load", "@stream --instance @there.svsm -o @out\(features) --trust @root.pem")
      if let code { load.requireRefusal(code) } else { #expect(load.status == 0) }
    }
  }

  @Test(arguments: [
    ("--to @there.offer", ErrorCode.certificateRoot), ("--to @guest --trust @root.pem", .inputKind),
    ("--to @root.pem --trust @root.pem", .offerSyntax),
    ("--to @missing --trust @root.pem", .inputOpen),
    ("--to @there.offer --trust @there.offer", .certificateSyntax),
  ])
  func aSaveForNobodyIsRefused(options: String, code: ErrorCode) throws {
    let shop = try shop()
    let before = try shop.names
    try shop.run("save", "@guest -o @two \(options)").requireRefusal(code)
    #expect(try shop.names == before)
  }

  @Test func aDamagedStreamIsRefusedByAll() throws {
    let shop = try shop()
    let whole = try shop.read("stream")
    for place in [whole.count / 3, whole.count / 2, whole.count - 1] {
      var bytes = whole
      bytes[place] ^= 1
      try shop.write("bad", bytes)
      let before = try shop.names
      let load = try shop.run("load", "@bad --instance @there.svsm -o @out --trust @root.pem")
      #expect(load.status == 65, "\(load.errors)")
      let verify = try shop.run("verify", "@bad --trust @root.pem")
      #expect(verify.status == 65)
      #expect(verify.text.contains("refuted"))
      #expect(try shop.names == before)
    }
    try shop.write("cut", Array(whole.dropLast(whole.count / 4)))
    try shop.run("load", "@cut --instance @there.svsm -o @out --trust @root.pem")
      .requireRefusal(.streamTruncated)
  }

  /// Rows: what stands in place of a stream.
  @Test(arguments: [
    ("@guest", ErrorCode.inputKind), ("@empty", .streamEmpty), ("@missing", .inputOpen),
    ("@root.pem", .streamMagic), ("-", .streamEmpty),
  ])
  func whatIsNoStreamIsRefused(stream: String, code: ErrorCode) throws {
    let shop = try shop()
    try shop.write("empty", [])
    let before = try shop.names
    try shop.run("load", "\(stream) --instance @there.svsm -o @out --trust @root.pem")
      .requireRefusal(code)
    try shop.run("verify", stream).requireRefusal(code)
    #expect(try shop.names == before)
  }

  @Test func aRefusalIsJSONToo() throws {
    let shop = try shop()
    let outcome = try shop.run("load", "@stream --instance @there.svsm -o @out --json")
    let json = try JSON(parsing: outcome.output)
    #expect(json["tool"] == "svsm-mig-load")
    #expect(json["status"] == "refused")
    #expect(json["code"] == "CERT-ROOT")
    #expect(json["exitStatus"] == 65)
    outcome.requireRefusal(.certificateRoot)
  }

  @Test func aVerifierSaysWhatItDidNotCheck() throws {
    let shop = try shop()
    let text = try shop.must("verify", "@stream --trust @root.pem").text
    #expect(text.contains("\nnothing refuted: 9 of 21 properties proven, 12 not checkable here\n"))
    #expect(text.contains("not checkable  page-tags"))
    let json = try JSON(
      parsing: shop.must("verify", "@stream --trust @root.pem --json").output)
    #expect(json["schema"] == "svsm-migration/verify/3")
    #expect(json["properties"]?.array?.count == 21)
    #expect(json["notCheckable"] == 12)
    // A root that nobody named is refused, and refutes nothing.
    let refused = try shop.run("verify", "@stream --json")
    #expect(refused.status == 65)
    let refusal = try JSON(parsing: refused.output)
    #expect(refusal["refuted"] == 0)
    #expect(refusal["notCheckable"] == 13)
    #expect(refusal["exitStatus"] == 65)
  }
}
