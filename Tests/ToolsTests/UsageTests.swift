import Errors
import JSON
import TestSupport
import Testing

@Suite struct UsageTests {
  @Test(arguments: [
    "prepare", "save", "load", "inspect", "verify", "guest", "seal", "diff", "attest", "attack",
  ])
  func everyToolSaysWhatItIs(tool: String) throws {
    let shop = try Workshop()
    let help = try shop.must(tool, "--help")
    #expect(help.text.contains("USAGE: svsm-mig-\(tool)"))
    #expect(help.errors.isEmpty)
    let version = try shop.must(tool, "--version")
    #expect(version.text == "0.1.0\n")
  }

  @Test(arguments: [
    ("prepare", ""), ("prepare", "--instance a"), ("prepare", "--instance a --output a"),
    ("prepare", "--instance - --output b"), ("prepare", "--instance a --output b --chip 2"),
    ("prepare", "--instance a --output b --chip 0 --platform c"),
    ("prepare", "--instance a --output b --seed 0g"),
    ("prepare", "--instance a --output b --quiet --verbose"), ("save", "g -o s"),
    ("save", "g -o s --to o --private 1-2"), ("save", "g -o s --to o --below-4g much"),
    ("save", "g -o s --to o --from i --chip 1"), ("save", "- -o s --to -"),
    ("save", "- --round - -o s --to o"), ("save", "g --round h -o s --to o --channel c"),
    ("save", "g --round h -o s --to o --offset 4K"),
    ("save", "--resume-after a"), ("save", "g --resume-after a --from i"),
    ("save", "--resume-after a --from i -o s"), ("save", "g -o s --to o --accept-seeded"),
    ("save", "--resume-after a --from i --policy p"), ("save", "- -o s --to o --policy -"),
    ("save", "g -o s --to o --trust - --policy -"), ("load", "- --instance i -o o --policy -"),
    ("load", "s --instance i -o o --one-way --policy p"),
    ("load", "--abort --instance i -o a --policy p"), ("verify", "- --policy -"),
    ("verify", "s --offer - --policy -"), ("verify", "--explain SEAL-CHUNK --policy p"),
    ("verify", "--vectors v --policy p"), ("verify", "--vectors v --instance i"),
    ("verify", "--vectors v --trust r"), ("verify", "--explain SEAL-CHUNK --offset 3"),
    ("verify", "--explain SEAL-CHUNK --offer o"), ("verify", "--vectors v --channel c"),
    ("attest", "verify - --policy -"), ("attest", "verify r --at issue --at 2025-01-01"),
    ("attest", "verify r --at=issue --at=issue"), ("attest", "verify r --vmpl 0 --vmpl any"),
    ("save", "g -o s --to o --to p"), ("save", "g -o s --output t --to o"),
    ("load", "s --instance i --instance j -o o"), ("load", "s --instance i -o o -o p"),
    ("verify", "s --offer o --offer p"), ("verify", "--explain SEAL-CHUNK --explain SEAL-ROOT"),
    ("prepare", "--instance a --output b --seed 00 --seed 01"),
    ("guest", "create -o g --memory 64K --memory 1M"), ("seal", "s -o t --jobs 1 --jobs 2"),
    ("inspect", "s --page 0 --page 1"), ("attack", "s --name a --name b"),
    ("attest", "verify r --cert - --policy -"),
    ("load", "s --instance i -o o --until 2"), ("load", "s --instance i -o o --until epoch:1:2"),
    ("load", "s --instance i -o o --until epoch:1 --output-format qemu"),
    ("load", "s --instance i -o o --until epoch:1 --abort"),
    ("load", "s --instance i -o o --abort --trace t"), ("verify", "s --trace -"),
    ("verify", "s --target e --trace t"), ("save", "--resume-after a --from i --trace t"),
    ("load", "--abort --instance i"), ("load", "--abort --instance i -o - --json"),
    ("load", "--abort --instance - -o a"),
    ("load", "s --instance i"), ("load", "s --instance i -o -"),
    ("load", "s --instance i -o o --output-format png"), ("verify", ""), ("verify", "s --loud"),
    ("verify", "s --source d"), ("verify", "s --source d --target e"), ("verify", "--target e"),
    ("verify", "s --target e --instance i"), ("verify", "s --target e --channel c"),
    ("verify", "s --target e --memory b=m"), ("verify", "--explain SEAL-CHUNK --memory b=m"),
    ("save", "g --round h -o s --to o --memory b=m"), ("inspect", "s --memory b"),
    ("verify", "- --target -"), ("verify", "--source d --target e --offset 3"),
    ("verify", "--source d --target e --target-ram a=1M"), ("verify", "s --target-ram a=1M"),
    ("verify", "s --target e --target-ram a=1M --target-ram a=2M"),
    ("verify", "s --target e --target-ram a"), ("verify", "s --target e --target-ram a=much"),
    ("verify", "--explain SEAL-CHUNK --target e"), ("verify", "s --target e --target f"),
    ("seal", "s"), ("seal", "s -o t --jobs 0"), ("guest", "melt"), ("guest", "create -o g"),
    ("guest", "create -o g --memory lots"),
    ("diff", ""), ("diff", "a"), ("diff", "- -"), ("diff", "a b --update"),
    ("diff", "a b --ignore colour"), ("diff", "a b --golden g"),
    ("diff", "--golden g --ignore rtc"),
    ("diff", "a b --instance i --instance j --instance k"), ("diff", "a b --jobs 0"),
    ("diff", "a b --offset 1 --offset A=2"), ("diff", "a b --snapshot list"),
    ("diff", "a b --snapshot s --length A=5"), ("diff", "a b --offset B=much"),
    ("diff", "a b --memory A=m"), ("diff", "- b --channel B=-"), ("diff", "--golden g --channel c"),
    ("diff", "a b --trace --offset 1"),
    ("guest", "import i -o g --vcpus 0"), ("guest", "import i -o g --vcpus 2 --vmsa v"),
  ])
  func aWrongCallIsSixtyFour(tool: String, call: String) throws {
    let outcome = try Workshop().run(tool, call)
    #expect(outcome.status == 64, "\(outcome.errors)")
    #expect(outcome.output.isEmpty)
    #expect(outcome.errors.contains("svsm-mig-\(tool)"))
  }

  @Test("What may be repeated is taken as often as it is given, and so is a flag")
  func whatMayBeRepeatedIs() throws {
    let shop = try Workshop()
    try shop.must("guest", "create -o @guest --memory 64K -q -q --force --force")
    try shop.prepare("there")
    let root = "--trust @root.pem"
    try shop.must("save", "@guest -o @stream --to @there.offer \(root) \(root)")
    try shop.must("attest", "verify @there.offer --json \(root) --json \(root) --at issue")
    // After -- there are names of files only.
    #expect(try shop.run("attest", "verify \(root) --at issue -- --at").status == 66)
  }

  @Test func aBundleHasWhatARawImageLacks() throws {
    let shop = try Workshop()
    try shop.makeGuest()
    try shop.prepare("there")
    let outcome = try shop.run(
      "save", "@guest -o @stream --to @there.offer --trust @root.pem --private all")
    #expect(outcome.status == 64, "\(outcome.errors)")
  }

  @Test func quietIsQuiet() throws {
    let shop = try Workshop()
    for call in [
      ("guest", "create -o @guest --memory 64K --quiet"),
      ("prepare", "--instance @a.svsm --output @a.offer --root-out @root.pem -q"),
      ("save", "@guest -o @stream --to @a.offer --trust @root.pem -q"),
      ("verify", "@stream --trust @root.pem -q"), ("inspect", "@stream -q"),
      ("attest", "verify @a.offer --trust @root.pem --at issue -q"),
      ("load", "@stream --instance @a.svsm -o @out --trust @root.pem -q"),
    ] {
      let outcome = try shop.must(call.0, call.1)
      #expect(outcome.errors.isEmpty && outcome.output.isEmpty)
    }
  }

  @Test("With --quiet a refusal is one line, and JSON is what was asked for")
  func quietRefusesInOneLine() throws {
    let shop = try Workshop()
    try shop.write("text", "no stream at all")
    for tool in ["verify", "inspect"] {
      let refused = try shop.run(tool, "@text -q")
      refused.requireRefusal(.streamMagic)
      #expect(refused.output.isEmpty)
      #expect(try shop.run(tool, "@text -q --json").json.members?.isEmpty == false)
    }
  }

  @Test(
    "A reader that has gone ends a tool without a message",
    arguments: ["inspect @stream", "--help"])
  func aClosedPipeIsNoFailure(call: String) throws {
    let shop = try Workshop()
    try shop.write("stream", Fixture.read("golden/tiny/stream.mig"))
    let words = shop.words("inspect", call.replacing("inspect ", with: "")).joined(separator: " ")
    let outcome = try #require(
      Program.run(["bash", "-c", "{ sleep 0.5; \(words); echo $? >&2; } | true"]))
    #expect(outcome.errors == "141\n")
  }

  @Test func everyToolWithKeysSaysTheyAreAModels() throws {
    let shop = try Workshop()
    try shop.must("guest", "create -o @guest --memory 64K")
    for call in [
      ("prepare", "--instance @a.svsm --output @a.offer --root-out @root.pem"),
      ("save", "@guest -o @stream --to @a.offer --trust @root.pem"),
      ("load", "@stream --instance @a.svsm -o @out --trust @root.pem"),
    ] {
      #expect(try shop.must(call.0, call.1).errors.contains("they protect nothing"))
    }
  }
}
