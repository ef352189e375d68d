import Foundation
import JSON
import TestSupport
import Testing

/// What the tools say of streams that forks of QEMU write (`Formats/dialects.md`).
@Suite struct DialectToolTests {
  static let dialects = [
    "amd-sev", "hygon-csv", "hygon-csv2", "hygon-csv3", "intel-tdx", "intel-tdx-postcopy",
    "openeuler-sev",
  ]

  private let shop: Workshop

  init() throws {
    shop = try Workshop()
    for dialect in Self.dialects {
      try shop.write(dialect, Fixture.read("dialects/\(dialect)/stream.xz"))
    }
  }

  @Test("The generator makes the streams that are here")
  func theGeneratorMakesTheFixtures() throws {
    let copy = shop["dialects"]
    try FileManager.default.copyItem(atPath: Fixture.path("dialects"), toPath: copy)
    let outcome = try #require(Program.run(["python3", copy + "/generate.py"]))
    try #require(outcome.status == 0, "\(outcome.errors)")
    for dialect in Self.dialects {
      #expect(
        try shop.read("dialects/\(dialect)/case.json")
          == Fixture.read("dialects/\(dialect)/case.json"))
      let made = try #require(
        Program.run(["xz", "-dc", shop["dialects/\(dialect)/stream.xz"]]))
      #expect(made.output == (try Fixture.read("dialects/\(dialect)/stream.xz")))
    }
  }

  @Test(
    "Inspect shows what the generator counted, and says what it always said", arguments: dialects)
  func inspectShowsTheDialect(dialect: String) throws {
    let outcome = try shop.must("inspect", "@\(dialect) --json")
    let known = try JSON(parsing: Fixture.read("dialects/\(dialect)/case.json"))
    #expect(try outcome.json["confidential"] == known["confidential"])
    #expect(try outcome.output == Fixture.read("dialects/\(dialect)/inspect.json"))
    let text = try shop.must("inspect", "@\(dialect)").text
    #expect(text.contains("Confidential guest") && text.contains("  dialect"))
  }

  /// Rows: dialect, properties that are proven, properties that are not checkable among others.
  @Test(arguments: [
    ("amd-sev", ["structure", "order"], ["counts", "page-tags"]),
    ("openeuler-sev", ["structure", "order"], ["page-sequence", "vcpus"]),
    ("hygon-csv", ["structure", "order"], ["epoch-order", "vcpus"]),
    ("hygon-csv2", ["structure", "order"], ["vcpus", "transport-key"]),
    ("hygon-csv3", ["order"], ["structure", "vcpus"]),
    (
      "intel-tdx", ["structure", "order", "counts", "page-sequence", "epoch-order"],
      ["vcpus", "commit", "page-tags"]
    ),
  ])
  func theLedgerSaysNoMoreThanWasSeen(
    dialect: String, proven: [String], open: [String]
  ) throws {
    let json = try shop.must("verify", "@\(dialect) --json").json
    #expect(json["kind"]?.string == "confidential")
    #expect(json["dialect"]?.string == dialect)
    let properties = json["properties"]?.array ?? []
    func named(_ outcome: String) -> [String] {
      properties.filter { $0["outcome"]?.string == outcome }.compactMap { $0["name"]?.string }
    }
    #expect(named("proven") == proven)
    #expect(named("refuted").isEmpty)
    #expect(Set(named("not-checkable")).isSuperset(of: open))
  }

  @Test("A ledger names all that is wrong with a TDX stream, each by its rule")
  func aLedgerNamesWhatIsWrong() throws {
    let known = try JSON(parsing: Fixture.read("dialects/intel-tdx/case.json"))
    let epoch = try #require(known["confidential"]?["epochs"]?.array?[1]["offset"]?.int)
    var bytes = try shop.read("intel-tdx")
    // The counter, and the number of bundles, of the second token.
    bytes[epoch + 4 + 8] ^= 1
    bytes[epoch + 4 + 24] ^= 1
    try shop.write("wrong", bytes)
    let outcome = try shop.run("verify", "@wrong --json")
    #expect(outcome.status == 65)
    let properties = try outcome.json["properties"]?.array ?? []
    let refuted = properties.filter { $0["outcome"]?.string == "refuted" }
    let names = refuted.compactMap { $0["name"]?.string }
    #expect(names.contains("counts") && names.contains("page-sequence"))
    for entry in refuted {
      let clause = entry["refutations"]?.array?.first?["clause"]
      #expect(clause?["document"]?.string == "Formats/dialects.md")
      #expect(clause?["section"]?.string == "5")
    }
    try shop.must("inspect", "@wrong")
  }

  @Test("No guest is made of a stream whose pages are encrypted", arguments: dialects)
  func othersRefuseIt(dialect: String) throws {
    #expect(try shop.run("guest", "import @\(dialect) -o @guest").status == 65)
    #expect(try shop.run("seal", "@\(dialect) -o @sealed").status == 65)
    let hashes = try shop.run("inspect", "@\(dialect) --ram-hashes")
    #expect(hashes.status == 65 && hashes.errors.contains("STREAM-KIND"))
  }
}
