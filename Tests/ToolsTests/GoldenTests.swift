import Foundation
import TestSupport
import Testing

/// A folder of `Fixtures/golden` with a stream, and how its scenario makes the guest.
struct GoldenStream: Sendable, CustomTestStringConvertible {
  let name: String
  /// The options of `svsm-mig-guest create` for the guest as it is when it is paused; nil for one that is a
  /// fixture.
  let create: String?
  /// The options of `svsm-mig-save`.
  let save: String

  var testDescription: String { name }

  static let all: [GoldenStream] = {
    // A folder that is missing leaves none, and a test asks for some.
    let names = try? FileManager.default.contentsOfDirectory(atPath: Fixture.path("golden"))
    return (names ?? []).sorted().compactMap { name in
      guard let text = try? Fixture.text("golden/\(name)/scenario") else { return nil }
      let lines = text.split(separator: "\n").map(String.init)
      func options(_ call: String) -> String? {
        lines.last { $0.hasPrefix("run \(call) ") }.map { String($0.dropFirst(5 + call.count)) }
      }
      // Every call names its output first.
      let create = options("guest create -o").map { String($0.drop { $0 != " " }) }
      return GoldenStream(name: name, create: create, save: options("save guest") ?? "")
    }
  }()

  /// The golden stream of several epochs: its guest at each of them is made with the options of `creation`
  /// and `--round`.
  static let rounds = all.first { $0.name == "rounds" }
  static let roundNumbers = ["0", "1", "2"]

  /// The options of `svsm-mig-guest create` without the round.
  var creation: String {
    guard let create, let round = create.firstRange(of: " --round") else { return create ?? "" }
    return String(create[..<round.lowerBound])
  }

  /// A file of the folder.
  func golden(_ file: String) throws -> [UInt8] {
    try Fixture.read("golden/\(name)/\(file)")
  }
}

/// The golden files under `Fixtures/golden`: made by `svsm-mig-diff --golden Fixtures/golden --update`, and by
/// nothing else ever changed.
@Suite struct GoldenTests {
  private let shop: Workshop

  init() throws {
    shop = try Workshop()
    for name in ["destination.svsm", "destination.offer", "root.pem"] {
      try shop.write(name, try Fixture.read("golden/\(name)"))
    }
  }

  @Test func thereAreScenarios() { #expect(GoldenStream.all.count >= 10) }

  @Test("The tools make every golden file again, byte for byte")
  func theToolsMakeWhatTheyAlwaysMade() throws {
    let outcome = try shop.run("diff", "--golden \(Fixture.path("golden"))")
    #expect(outcome.status == 0, "\(outcome.text)\(outcome.errors)")
    #expect(outcome.text.hasSuffix("36 files, all as expected\n"), "\(outcome.text)")
  }

  @Test(arguments: GoldenStream.all)
  func aGoldenStreamIsVerifiedAndLoads(stream: GoldenStream) throws {
    try shop.write("stream", stream.golden("stream.mig"))
    let keys = "--instance @destination.svsm --trust @root.pem"
    try shop.must("verify", "@stream --trust @root.pem")
    try shop.must("verify", "@stream \(keys)")
    let oneWay = stream.save.contains("--one-way") ? "--one-way" : ""
    try shop.must("load", "@stream \(keys) -o @loaded --accept-seeded \(oneWay)")
    if let create = stream.create {
      try shop.must("guest", "create -o @guest \(create)")
    } else {
      try FileManager.default.copyItem(
        atPath: Fixture.path("golden/\(stream.name)/guest"), toPath: shop["guest"])
    }
    let files = try shop.names(in: "guest")
    #expect(try shop.names(in: "loaded") == files)
    for file in files where file != "guest.json" {
      let (before, after) = (try shop.read("guest/\(file)"), try shop.read("loaded/\(file)"))
      if let secrets = secretsPage(stream), file == "ram-0.bin" {
        expectRebuilt(before, after, at: secrets)
      } else {
        #expect(before == after, "\(file)")
      }
    }
  }

  /// Where the guest has its secrets page.
  private func secretsPage(_ stream: GoldenStream) -> Int? {
    let words = (stream.create ?? "").split(separator: " ")
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
