import Foundation
import JSON
import TestSupport
import Testing

@Suite struct FlowTests {
  @Test(arguments: [("guest", ""), ("guest", " --one-way")])
  func aGuestGoesThroughFiles(guest: String, option: String) throws {
    let shop = try Workshop()
    try shop.makeGuest()
    try shop.prepare("there")
    try shop.must(
      "save", "@guest -o @stream --to @there.offer --trust @root.pem" + option)
    let verified = try shop.must(
      "verify", "@stream --instance @there.svsm --trust @root.pem")
    #expect(verified.text.contains("nothing refuted: \(option.isEmpty ? 21 : 19) of 21"))
    try shop.must(
      "load", "@stream --instance @there.svsm -o @out --trust @root.pem" + option)
    try shop.requireSame("guest", "out")
  }

  @Test func aGuestGoesThroughAPipe() throws {
    let shop = try Workshop()
    try shop.makeGuest()
    try shop.prepare("here", chip: 1)
    try shop.prepare("there")
    let run = try #require(
      Program.pipe(
        shop.words("save", "@guest -o - --from @here.svsm --to @there.offer --trust @root.pem"),
        into: shop.words("load", "- --instance @there.svsm -o @out --trust @root.pem")))
    #expect(run.first.status == 0, "\(run.first.errors)")
    #expect(run.second.status == 0, "\(run.second.errors)")
    try shop.requireSame("guest", "out")
  }

  @Test func aSecretsPageIsRebuiltAndAllElseIsTheSame() throws {
    let shop = try Workshop()
    // The page lies at 0x80d000.
    try shop.must("guest", "create -o @guest --memory 0x810000 --below-4g 0x810000 --seed 07")
    try shop.prepare("there")
    try shop.must("save", "@guest -o @stream --to @there.offer --trust @root.pem")
    try shop.must("load", "@stream --instance @there.svsm -o @out --trust @root.pem")
    let outcome = try #require(
      Program.run(["cmp", "-l", shop["guest/ram-0.bin"], shop["out/ram-0.bin"]]))
    let places = outcome.text.split(separator: "\n").compactMap { line in
      line.split(separator: " ").first.flatMap { Int($0) }.map { $0 - 1 }
    }
    // The keys in it are those of the new guest context.
    #expect(!places.isEmpty)
    #expect(places.allSatisfy { 0x80d000..<0x80e000 ~= $0 })
  }

  @Test(arguments: ["none", "0x0+256K", "all"])
  func aRawImageGoesInAndOut(isPrivate: String) throws {
    let shop = try Workshop()
    let image = (0..<512 << 10).map { index in
      index % 12288 < 4096 ? 0 : UInt8(truncatingIfNeeded: index &* 31 >> 5)
    }
    try shop.write("image", image)
    try shop.prepare("there")
    try shop.must(
      "save",
      "@image -o @stream --private \(isPrivate) --machine q35 --to @there.offer --trust @root.pem")
    let loaded = try shop.must(
      "load", "@stream --instance @there.svsm -o @out --output-format raw --trust @root.pem")
    #expect(try shop.read("out") == image)
    #expect(loaded.errors.contains("vCPUs and services are not in it"))
  }

  @Test func aSeedGivesTheSameBytes() throws {
    let shop = try Workshop()
    try shop.makeGuest()
    for run in ["1", "2"] {
      try shop.prepare("there\(run)", seed: "0102")
      try shop.must(
        "save",
        "@guest -o @stream\(run) --to @there\(run).offer --trust @root.pem --seed a0a1 --force")
    }
    for name in ["there%.svsm", "there%.offer", "stream%"] {
      let bytes = try ["1", "2"].map { run in
        try shop.read(String(name.map { $0 == "%" ? Character(run) : $0 }))
      }
      #expect(bytes[0] == bytes[1], "\(name)")
    }
    try shop.must(
      "save", "@guest -o @stream3 --to @there1.offer --trust @root.pem --seed a0a2")
    #expect(try shop.read("stream3") != shop.read("stream1"))
  }

  @Test func withoutASeedEveryRunIsAnother() throws {
    let shop = try Workshop()
    try shop.prepare("one")
    try shop.prepare("two")
    #expect(try shop.read("one.offer") != shop.read("two.offer"))
  }

  /// A run of 8 TiB costs a stream 24 bytes; it must not cost its reader a look at each page.
  @Test func memoryThatWasNeverAcceptedCostsNoTime() throws {
    let shop = try Workshop()
    try shop.must("guest", "create -o @guest --memory 64K --seed 07")
    let manifest = try #require(String(validating: shop.read("guest/guest.json"), as: UTF8.self))
    let runs = try shop.read("guest/page-states.bin")
    let (gpa, size) = ("0x8000000000000", "0x80000000000")
    var large = manifest
    for (key, element) in [
      ("ram", "{\"name\": \"large\", \"size\": \"\(size)\"}"),
      ("map", "{\"block\": 1, \"offset\": \"0x0\", \"gpa\": \"\(gpa)\", \"size\": \"\(size)\"}"),
      ("private", "\"\(gpa)-0x807ffffffffff\""),
    ] {
      let start = try #require(large.range(of: "\"\(key)\": ["))
      let end = try #require(large.range(of: "\n  ]", range: start.upperBound..<large.endIndex))
      large.insert(contentsOf: ", \(element)", at: end.lowerBound)
    }
    large = large.replacingOccurrences(
      of: "\"page_state_runs\": \(runs.count / 24)",
      with: "\"page_state_runs\": \(runs.count / 24 + 1)")
    try shop.write("guest/guest.json", Array(large.utf8))
    let run: [UInt8] = [0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]
    try shop.write("guest/page-states.bin", runs + run)
    try #require(
      Program.run(["truncate", "-s", "8T", shop["guest/ram-1.bin"]])?.status == 0)
    try shop.prepare("there")
    try shop.must("save", "@guest -o @stream --to @there.offer --trust @root.pem")
    let words = shop.words("verify", "@stream --instance @there.svsm --trust @root.pem")
    let clock = ContinuousClock()
    var outcome: Program.Outcome?
    let time = clock.measure { outcome = Program.run(words) }
    #expect(outcome?.status == 0, "\(outcome?.errors ?? "")")
    #expect(time < .seconds(2))
  }

  @Test func anInstanceFileIsItsOwnersAlone() throws {
    let shop = try Workshop()
    try shop.makeGuest()
    try shop.prepare("there")
    try shop.must("save", "@guest -o @stream --to @there.offer --trust @root.pem")
    let before = try shop.read("there.svsm")
    #expect(try shop.mode("there.svsm") == 0o600)
    try shop.must("load", "@stream --instance @there.svsm -o @out --trust @root.pem")
    #expect(try shop.read("there.svsm") != before)
    #expect(try shop.mode("there.svsm") == 0o600)
  }

  @Test func aPlatformOfOnesOwnVouches() throws {
    let shop = try Workshop()
    let chip = Fixture.path("model-platform/chip-1")
    try shop.must(
      "prepare", "--instance @a.svsm --output @a.offer --root-out @root.pem --platform \(chip)")
    try shop.makeGuest()
    try shop.must("save", "@guest -o @stream --to @a.offer --trust @root.pem --platform \(chip)")
    try shop.must("load", "@stream --instance @a.svsm -o @out --trust @root.pem")
    try shop.requireSame("guest", "out")
  }

  @Test func aLoadReportsAsJSON() throws {
    let shop = try Workshop()
    try shop.makeGuest()
    try shop.prepare("there")
    try shop.must("save", "@guest -o @stream --to @there.offer --trust @root.pem --quiet")
    let loaded = try shop.must(
      "load", "@stream --instance @there.svsm -o @out --trust @root.pem --json --quiet")
    let json = try JSON(parsing: loaded.output)
    #expect(json["schema"] == "svsm-migration/load/1")
    #expect(json["vcpus"] == 2)
    #expect(loaded.errors.isEmpty)
  }
}
