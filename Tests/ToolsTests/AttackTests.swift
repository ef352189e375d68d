import Attacks
import Errors
import JSON
import TestSupport
import Testing

@Suite struct AttackTests {
  private let shop: Workshop

  init() throws {
    shop = try Workshop()
    for name in ["destination.svsm", "destination.offer", "root.pem"] {
      try shop.write(name, try Fixture.read("golden/\(name)"))
    }
    try shop.write("tiny", try Fixture.read("golden/tiny/stream.mig"))
  }

  private func json(_ line: String, status: Int32 = 0) throws -> JSON {
    let outcome = try shop.run("attack", line)
    #expect(outcome.status == status, "\(outcome.errors)")
    return try JSON(parsing: outcome.output)
  }

  /// The golden streams, one of several epochs, and one of a guest with devices.
  private func streams() throws -> [String] {
    for golden in GoldenStream.all {
      try shop.write(golden.name, golden.golden("stream.mig"))
    }
    try shop.write("recipe", Array(Fixture.rounds.utf8))
    try shop.must(
      "attack", "--recipe @recipe @tiny -o @made-rounds --instance @destination.svsm")
    try shop.write("qemu", try Fixture.read("qemu/pc72-bios-reset/stream.xz"))
    try shop.must("guest", "import @qemu -o @imported --private 0x0-0xffff")
    try shop.must(
      "save", "@imported -o @machine --to @destination.offer --trust @root.pem --seed 03")
    return GoldenStream.all.map(\.name) + ["made-rounds", "machine"]
  }

  @Test("Every attack on every stream is refused, with its code, and leaves nothing behind")
  func anAttackIsRefusedWithItsCode() throws {
    let names = try streams().map { "@\($0)" }.joined(separator: " ")
    let matrix = try json(
      "--matrix \(names) --instance @destination.svsm --trust @root.pem --json")
    #expect(matrix["accepted"] == 0)
    #expect(matrix["unexpected"] == 0)
    var made: Set<String> = []
    for row in matrix["attacks"]?.array ?? [] where row["made"] == true {
      let name = row["attack"]?.string ?? ""
      made.insert(name)
      #expect(row["expected"] == true, "\(String(decoding: row.compact, as: UTF8.self))")
      #expect(row["load"] != .null || row["oneWayException"] == true, "\(name)")
    }
    #expect(made == Set(Attack.all.map(\.name)))
  }

  @Test("The matrix ends with what was accepted, and shows the one exception there is")
  func theMatrixSaysWhatWasAccepted() throws {
    try shop.write("one-way", try Fixture.read("golden/one-way/stream.mig"))
    let outcome = try shop.must(
      "attack", "--matrix @one-way --instance @destination.svsm --trust @root.pem")
    let lines = outcome.text.split(separator: "\n")
    #expect(lines.last?.hasPrefix("accepted: 0 of ") == true)
    #expect(lines.filter { $0.hasPrefix("as documented: fake-source ") }.count == 1)
  }

  /// What is random decides which of several codes some attacks end in, never whether.
  @Test("Every attack is refused by a destination whose keys come from no seed, too")
  func theMatrixHoldsWithoutSeeds() throws {
    try shop.makeGuest()
    try shop.prepare("there")
    try shop.must("save", "@guest -o @stream --to @there.offer --trust @root.pem")
    let outcome = try shop.run(
      "attack", "--matrix @stream --instance @there.svsm --trust @root.pem --json")
    #expect(try JSON(parsing: outcome.output)["accepted"] == 0)
  }

  @Test("An attack that nobody refuses ends the matrix with status 1")
  func whatIsAcceptedIsNotHidden() throws {
    // Under a root that is not trusted no stream is refused for what the attack did.
    let outcome = try shop.run("attack", "--matrix @tiny --instance @destination.svsm")
    #expect(outcome.status == 1)
    #expect(outcome.text.contains("unexpected: "))
  }

  @Test("A fake source is refused, and taken only where sources need not prove themselves")
  func aFakeSourceIsTakenOnlyOneWay() throws {
    try shop.must(
      "attack", "--name fake-source @tiny -o @fake --instance @destination.svsm")
    let load = "@fake --instance @destination.svsm --trust @root.pem --accept-seeded -o @guest"
    try shop.run("load", load).requireRefusal(.sessionOneWay)
    try shop.must("load", "\(load) --one-way")
  }

  @Test("The list names every attack with its threats")
  func theListIsTheCatalogue() throws {
    let list = try json("--list --json")
    let names = (list["attacks"]?.array ?? []).compactMap { $0["name"]?.string }
    #expect(names == Attack.all.map(\.name))
    let text = try shop.must("attack", "--list").text
    for attack in Attack.all { #expect(text.contains(attack.name + " ")) }
  }

  @Test("An attack makes the same bytes each time, and never over its input")
  func anAttackIsReproducible() throws {
    try shop.must("attack", "--name flip-page-content @tiny -o @one")
    try shop.must("attack", "--name flip-page-content @tiny -o @two")
    #expect(try shop.read("one") == shop.read("two"))
    #expect(
      try shop.run("attack", "--name flip-page-content @tiny -o -").output == shop.read("one"))
    let command = "--name flip-page-content @tiny"
    try shop.run("attack", "\(command) -o @one").requireRefusal(.outputExists)
    try shop.run("attack", "\(command) -o @tiny --force").requireRefusal(.outputSame)
    try shop.must("attack", "\(command) -o @one --force --consistent")
    #expect(try shop.read("one") != shop.read("two"))
  }

  @Test("What an attack needs and has not is said with a code")
  func needsAreSaid() throws {
    try shop.run("attack", "--name splice-page @tiny -o @out").requireRefusal(.attackNeeds)
    try shop.run("attack", "--name fake-source @tiny -o @out").requireRefusal(.attackNeeds)
    try shop.run("attack", "--name source-runs-on @tiny -o @out").requireRefusal(.attackNeeds)
    try shop.run("attack", "--name offer-vmpl @tiny -o @out").requireRefusal(.attackNeeds)
    try shop.write("wrong", Array("explode\n".utf8))
    try shop.run("attack", "--recipe @wrong @tiny -o @out").requireRefusal(.recipeSyntax)
    #expect(try !shop.names.contains("out"))
  }

  @Test("A forged offer is refused by the save it is given to")
  func aForgedOfferIsRefusedByASave() throws {
    try shop.makeGuest()
    for (name, code) in [
      ("offer-vmpl", ErrorCode.reportVMPL), ("offer-debug", .reportDebug),
      ("offer-tcb-rollback", .reportTCB), ("offer-other-key", .reportData),
    ] {
      try shop.must("attack", "--name \(name) @destination.offer -o @\(name)")
      try shop.run("save", "@guest -o @out --to @\(name) --trust @root.pem").requireRefusal(code)
    }
  }

  @Test(
    "A wrong call is a matter of usage",
    arguments: [
      "", "--list --matrix @tiny", "--name nothing @tiny -o @out", "--name drop-page @tiny",
      "--name drop-page -o @out", "--matrix @tiny", "--list @tiny",
      "--matrix @tiny --instance @destination.svsm --offer @destination.offer",
      "--name drop-page @tiny -o @out --json",
    ])
  func aWrongCallIsUsage(line: String) throws {
    #expect(try shop.run("attack", line).status == 64)
  }
}
