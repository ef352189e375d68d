import Foundation
import TestSupport
import Testing

/// One line of `Fixtures/golden/scenarios.txt`.
struct GoldenScenario: Sendable, CustomTestStringConvertible {
  var name: String
  /// Options of `svsm-mig-guest create` and of `svsm-mig-save`.
  var create: String
  var save: String
  /// How long the guest has run when a later epoch begins: `--round` of the guest made for it.
  var rounds: [String]

  var testDescription: String { name }

  static let all: [GoldenScenario] = {
    // A file that is missing leaves none, and a test asks for some.
    let text = (try? Fixture.text("golden/scenarios.txt")) ?? ""
    return text.split(separator: "\n").filter { !$0.hasPrefix("#") }.map { line in
      let parts = line.split(separator: "|", omittingEmptySubsequences: false)
        .map { $0.trimmingCharacters(in: .whitespaces) }
      let rounds = parts.count > 3 ? parts[3].split(separator: " ").map(String.init) : []
      return GoldenScenario(name: parts[0], create: parts[1], save: parts[2], rounds: rounds)
    }
  }()

  /// A file of the scenario.
  func golden(_ file: String) throws -> [UInt8] {
    try Fixture.read("golden/\(name)/\(file)")
  }
}

/// The golden files under `Fixtures/golden`: made by `Fixtures/golden/regenerate`, and by nothing else
/// ever changed. The tests take the same steps with the same seeds.
@Suite struct GoldenTests {
  private let shop: Workshop

  init() throws {
    shop = try Workshop()
    for name in ["destination.svsm", "destination.offer", "root.pem"] {
      try shop.write(name, try Fixture.read("golden/\(name)"))
    }
  }

  @Test func thereAreScenarios() { #expect(GoldenScenario.all.count >= 6) }

  @Test func aSeedGivesTheInstanceItAlwaysGave() throws {
    try shop.must(
      "prepare",
      "--instance @again.svsm --output @again.offer --root-out @again.pem --seed 01")
    #expect(try shop.read("again.svsm") == shop.read("destination.svsm"))
    #expect(try shop.read("again.offer") == shop.read("destination.offer"))
    #expect(try shop.read("again.pem") == shop.read("root.pem"))
  }

  /// Makes the scenario's guest, or copies it where it is a fixture.
  private func makeGuest(_ scenario: GoldenScenario, round: String = "0") throws {
    guard scenario.create == "guest" else {
      try shop.must("guest", "create -o @guest --seed 02 \(scenario.create) --round \(round)")
      return
    }
    try FileManager.default.copyItem(
      atPath: Fixture.path("golden/\(scenario.name)/guest"), toPath: shop["guest"])
  }

  @Test(arguments: GoldenScenario.all)
  func aSeedGivesTheStreamItAlwaysGave(scenario: GoldenScenario) throws {
    try makeGuest(scenario)
    var later = ""
    for round in scenario.rounds {
      try shop.must(
        "guest", "create -o @guest-\(round) --seed 02 \(scenario.create) --round \(round)")
      later += " --round @guest-\(round)"
    }
    try shop.must(
      "save",
      "@guest -o @stream --to @destination.offer --trust @root.pem --seed 03 \(scenario.save)"
        + later)
    let made = try shop.read("stream")
    let golden = try scenario.golden("stream.mig")
    let place = zip(made, golden).enumerated().first { $0.element.0 != $0.element.1 }?.offset
    #expect(made.count == golden.count)
    #expect(place == nil, "the first other byte")
  }

  @Test(arguments: GoldenScenario.all)
  func inspectSaysWhatItAlwaysSaid(scenario: GoldenScenario) throws {
    try shop.write("stream", scenario.golden("stream.mig"))
    let plain = try shop.must("inspect", "@stream --json --sections")
    #expect(try plain.output == scenario.golden("inspect.json"))
    let decoded = try shop.must(
      "inspect", "@stream --json --instance @destination.svsm --trust @root.pem")
    #expect(try decoded.output == scenario.golden("decoded.json"))
  }

  @Test(arguments: GoldenScenario.all)
  func aGoldenStreamIsVerifiedAndLoads(scenario: GoldenScenario) throws {
    try shop.write("stream", scenario.golden("stream.mig"))
    let keys = "--instance @destination.svsm --trust @root.pem"
    try shop.must("verify", "@stream --trust @root.pem")
    try shop.must("verify", "@stream \(keys)")
    try shop.must("load", "@stream \(keys) -o @loaded --accept-seeded \(scenario.save)")
    try makeGuest(scenario, round: scenario.rounds.last ?? "0")
    let files = try shop.names(in: "guest")
    #expect(try shop.names(in: "loaded") == files)
    for file in files where file != "guest.json" {
      let (before, after) = (try shop.read("guest/\(file)"), try shop.read("loaded/\(file)"))
      if let secrets = secretsPage(scenario), file == "ram-0.bin" {
        expectRebuilt(before, after, at: secrets)
      } else {
        #expect(before == after, "\(file)")
      }
    }
  }

  /// Where the scenario has its secrets page.
  private func secretsPage(_ scenario: GoldenScenario) -> Int? {
    let words = scenario.create.split(separator: " ")
    guard let index = words.firstIndex(of: "--secrets-page") else { return nil }
    return Int(words[index + 1].dropFirst(2), radix: 16)
  }

  /// All of memory is the same but the secrets page, which holds no key of the source's.
  private func expectRebuilt(_ before: [UInt8], _ after: [UInt8], at start: Int) {
    let page = start..<start + 4096
    #expect(before[..<start] == after[..<start])
    #expect(before[page.upperBound...] == after[page.upperBound...])
    for level in 0..<4 {
      let key = start + 0x20 + 32 * level..<start + 0x40 + 32 * level
      #expect(before[key] != after[key] || before[key].allSatisfy { $0 == 0 }, "VMPCK\(level)")
    }
    #expect(after[start + 0x20..<start + 0x40].allSatisfy { $0 == 0 })
    // What belongs to the guest came along: the SVSM's place and calling area.
    #expect(before[start + 0x140..<start + 0x15d] == after[start + 0x140..<start + 0x15d])
  }
}
