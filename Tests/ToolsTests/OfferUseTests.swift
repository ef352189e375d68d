import Errors
import TestSupport
import Testing

/// Offers that nothing loads, and instances that are not what they were: no guest is lost by one, and none
/// can run twice.
@Suite struct OfferUseTests {
  private func shop(_ instances: [String]) throws -> Workshop {
    let shop = try Workshop()
    try shop.makeGuest(memory: "64K")
    for name in instances { try shop.prepare(name) }
    return shop
  }

  private func save(_ stream: String, from source: String, to destination: String) -> String {
    "@guest -o @\(stream) --from @\(source).svsm --to @\(destination).offer --trust @root.pem"
  }

  private func load(_ stream: String, by destination: String) -> String {
    "@\(stream) --instance @\(destination).svsm -o @out-\(stream) --trust @root.pem"
  }

  private func abort(_ stream: String?, by destination: String, as name: String = "abort") -> String
  {
    (stream.map { "@\($0) " } ?? "") + "--abort --instance @\(destination).svsm -o @\(name) --force"
  }

  private func resume(_ source: String, after name: String = "abort") -> String {
    "--resume-after @\(name) --from @\(source).svsm"
  }

  @Test("an offer that was used for two saves gives back the guest that it did not load")
  func anOfferUsedTwiceLosesNoGuest() throws {
    let shop = try shop(["there", "first", "second", "third"])
    try shop.must("save", save("one", from: "first", to: "there"))
    try shop.must("load", load("one", by: "there"))
    try shop.must("save", save("two", from: "second", to: "there"))
    let refused = try shop.run("load", load("two", by: "there"))
    refused.requireRefusal(.instanceUsed)
    #expect(refused.errors.contains("an abort of this one gives its guest back"))
    // Neither the guest that it has, nor whatever comes.
    try shop.run("load", abort("one", by: "there")).requireRefusal(.instanceUsed)
    try shop.run("load", abort(nil, by: "there")).requireRefusal(.instanceUsed)
    let before = try shop.read("there.svsm")
    try shop.must("load", abort("two", by: "there"))
    #expect(try shop.read("there.svsm") == before)
    try shop.run("save", resume("first")).requireRefusal(.abortSession)
    try shop.must("save", resume("second"))
    try shop.run("load", load("two", by: "there")).requireRefusal(.instanceUsed)
    try shop.must("save", save("again", from: "second", to: "third"))
    try shop.must("load", load("again", by: "third"))
    try shop.requireSame("guest", "out-again")
    // It was good once.
    try shop.run("save", resume("second")).requireRefusal(.abortPeer)
  }

  @Test(
    "of two sources that save to each other both get their guests back, and neither loads ever after"
  )
  func crosswiseSavesLoseNoGuest() throws {
    let shop = try shop(["one", "two", "third"])
    try shop.must("save", save("forth", from: "one", to: "two"))
    try shop.must("save", save("back", from: "two", to: "one"))
    try shop.run("load", load("forth", by: "two")).requireRefusal(.instanceUsed)
    try shop.run("load", load("back", by: "one")).requireRefusal(.instanceUsed)
    try shop.must("load", abort("forth", by: "two", as: "abort-forth"))
    try shop.must("save", resume("one", after: "abort-forth"))
    // Resumed now: what it signed while it was exported, and signs now, stays true.
    try shop.must("load", abort("back", by: "one", as: "abort-back"))
    try shop.must("save", resume("two", after: "abort-back"))
    try shop.run("load", load("forth", by: "two")).requireRefusal(.instanceUsed)
    try shop.run("load", load("back", by: "one")).requireRefusal(.instanceUsed)
    try shop.must("save", save("again", from: "two", to: "third"))
    try shop.must("load", load("again", by: "third"))
  }

  @Test("a source refuses its own offer, also as a twin of one seed has it, before it hands over")
  func aSourceRefusesItsOwnOffer() throws {
    let shop = try shop([])
    for name in ["self", "twin"] { try shop.prepare(name, seed: "05") }
    let before = try shop.read("self.svsm")
    for offer in ["self", "twin"] {
      try shop.run("save", save("stream", from: "self", to: offer)).requireRefusal(.offerUsed)
    }
    #expect(try shop.read("self.svsm") == before)
    #expect(!shop.exists("stream"))
  }

  @Test("a source that got its guest back does not save to who gave it")
  func aResumedSourceRefusesTheOfferItWasGivenBackBy() throws {
    let shop = try shop(["there", "here", "third"])
    try shop.must("save", save("stream", from: "here", to: "there"))
    try shop.must("load", abort("stream", by: "there"))
    try shop.must("save", resume("here"))
    try shop.run("save", save("again", from: "here", to: "there")).requireRefusal(.offerUsed)
    try shop.must("save", save("again", from: "here", to: "third"))
    try shop.must("load", load("again", by: "third"))
  }

  /// Replaces an instance while a tool reads what comes through a pipe; a pipe holds 64 KiB at most.
  private func replacing(
    _ instance: String, while file: String, goesInto tool: String, _ line: String, in shop: Workshop
  ) throws -> Program.Outcome {
    let script = """
      file=$1 prepare=$2 instance=$3; shift 3
      { head -c 100000 "$file"; "$prepare" -q -f --instance "$instance" -o "$instance.offer"
        tail -c +100001 "$file"; } | "$@"
      """
    return try #require(
      Program.run(
        ["sh", "-c", script, "sh", shop[file], Program.tool("svsm-mig-prepare"), shop[instance]]
          + shop.words(tool, line)))
  }

  @Test("a load marks the instance that its session was opened with, and no other")
  func anInstanceReplacedDuringALoadIsFound() throws {
    let shop = try Workshop()
    try shop.makeGuest()
    try shop.prepare("there")
    try shop.must("save", "@guest -o @stream --to @there.offer --trust @root.pem")
    try replacing(
      "there.svsm", while: "stream", goesInto: "load",
      "- --instance @there.svsm -o @out --trust @root.pem", in: shop
    ).requireRefusal(.instanceChanged)
    #expect(!shop.exists("out"))
    // The new one has served nothing.
    try shop.must("load", "--abort --instance @there.svsm -o @abort")
  }

  @Test("a save marks the instance that its session was opened with, and no other")
  func anInstanceReplacedDuringASaveIsFound() throws {
    let shop = try shop(["there", "here"])
    try shop.write("image", Fixture.read("qemu/pc72-tiny/stream.xz"))
    try replacing(
      "here.svsm", while: "image", goesInto: "save",
      "- -o @stream --from @here.svsm --to @there.offer --trust @root.pem", in: shop
    ).requireRefusal(.instanceChanged)
    #expect(!shop.exists("stream"))
  }

  @Test("an instance without which a guest is lost is not replaced", arguments: [1, 3])
  func anInstanceThatIsTheOnlyWayStays(stage: Int) throws {
    let shop = try shop(["there", "here"])
    try shop.must("save", save("stream", from: "here", to: "there"))
    if stage == 3 {
      try shop.must("guest", "create -o @out --memory 64K")
      try shop.interrupt("there.svsm", loading: "stream", as: "out", into: "there.svsm")
    }
    let name = stage == 1 ? "here.svsm" : "there.svsm"
    let before = try shop.read(name)
    #expect(Int(before[15]) == stage)
    try shop.run("prepare", "--force --instance @\(name) -o @new.offer").requireRefusal(
      .outputExists)
    #expect(try shop.read(name) == before)
    #expect(!shop.exists("new.offer"))
    // One that is ready is.
    try shop.prepare("third")
    try shop.prepare("third")
  }
}
