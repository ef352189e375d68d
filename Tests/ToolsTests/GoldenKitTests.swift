import Errors
import Foundation
import JSON
import TestSupport
import Testing

/// `svsm-mig-diff --golden` in a project that is not ours: scenarios, and nothing else.
@Suite struct GoldenKitTests {
  private let shop: Workshop

  init() throws {
    shop = try Workshop()
    try shop.folder("golden")
    for (path, lines) in try Self.recipe() {
      try shop.folder("golden/\(path.split(separator: "/")[1])")
      try shop.write(path, lines.joined(separator: "\n"))
    }
    try shop.write("golden/saved/saved.stream", Fixture.read("qemu/pc72-boot/stream.xz"))
    try shop.write(
      "golden/small/scenario",
      shop.text("golden/small/scenario")
        + "\nprint shown.txt inspect stream.mig\nprint nothing.json 66 inspect 'not there' --json\n"
    )
  }

  /// The scenarios of the recipe in `Formats/diff.md`, by path.
  private static func recipe() throws -> [(path: String, lines: [String])] {
    var found: [(path: String, lines: [String])] = []
    for line in try Repository.text("Formats/diff.md").split(separator: "\n").map(String.init) {
      if line.hasPrefix("    golden/"), line.hasSuffix("/scenario:") {
        found.append((String(line.dropFirst(4).dropLast()), []))
      } else if line.hasPrefix("        "), !found.isEmpty {
        found[found.count - 1].lines.append(String(line.dropFirst(8)))
      }
    }
    try #require(found.map(\.path) == ["golden/small/scenario", "golden/saved/scenario"])
    return found
  }

  private func run(_ options: String = "", status: Int32 = 0) throws -> String {
    let outcome = try shop.run("diff", "--golden @golden \(options)")
    #expect(outcome.status == status, "\(outcome.text)\(outcome.errors)")
    return outcome.text
  }

  @Test("Files are made once, are the same from then on, and a change of them is told and taken")
  func filesAreMadeComparedAndUpdated() throws {
    #expect(try run(status: 1).contains("saved/devices.json: is not among the expected files"))
    #expect(try shop.names(in: "golden/saved") == ["saved.stream", "scenario"])
    #expect(try run("--update").hasSuffix("2 scenarios, 5 files, 5 updated\n"))
    #expect(try run() == "2 scenarios, 5 files, all as expected\n")
    let text = try shop.text("golden/small/scenario")
    try shop.write(
      "golden/small/scenario", text.replacingOccurrences(of: "--seed 02", with: "--seed 05"))
    let told = try run(status: 1)
    #expect(told.contains("small/stream.mig: differs\n"), "\(told)")
    #expect(told.contains("\n  vcpu 1: ") && told.contains("\n  memory: "), "\(told)")
    #expect(told.contains("small/stream.json: differs\n  "), "\(told)")
    #expect(told.contains("2 scenarios, 5 files, 3 differ\n"), "\(told)")
    let json = try shop.run("diff", "--golden @golden --json").json
    #expect(json["exitStatus"] == 1 && json["scenarios"]?.array?.count == 2)
    #expect(try run("--update").contains("small/stream.mig: updated\n"))
    #expect(try run("--quiet") == "")
  }

  @Test("A call that fails ends its scenario, and is told with what it said")
  func aCallThatFailsIsTold() throws {
    try shop.write(
      "golden/saved/scenario", "run verify saved.stream\nprint a inspect saved.stream\n")
    let told = try run(status: 1)
    #expect(
      told.contains("saved: svsm-mig-verify saved.stream: exit status 66, expected 0\n"), "\(told)")
    #expect(told.contains("1 scenario failed\n"), "\(told)")
  }

  /// Rows: lines that are no step, or that reach out of the folder.
  @Test(arguments: [
    "input ../../secret", "input /etc/passwd", "input a/../b", "keep ../a", "keep scenario",
    "keep .a",
    "print a/b inspect s", "run", "run 0", "run ../inspect s", "run 'a", "sh -c true", "input a b",
    "keep", "open a/b", "input .",
  ])
  func aLineThatIsNoStepIsRefused(line: String) throws {
    try shop.write("golden/saved/scenario", "# A comment.\n\n\(line)\n")
    let outcome = try shop.run("diff", "--golden @golden")
    outcome.requireRefusal(.goldenSyntax)
    #expect(outcome.errors.contains("saved/scenario line 3"), "\(outcome.errors)")
  }

  @Test("A folder without a scenario is refused")
  func aFolderWithoutScenariosIsRefused() throws {
    try shop.folder("empty")
    try shop.run("diff", "--golden @empty").requireRefusal(.goldenSyntax)
    try shop.run("diff", "--golden @nothing").requireRefusal(.inputOpen)
  }
}
