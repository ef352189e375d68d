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
      told.contains(
        "saved/scenario line 1: svsm-mig-verify saved.stream: exit status 66, expected 0\n"),
      "\(told)")
    #expect(told.contains("1 scenario failed\n"), "\(told)")
  }

  /// Rows: a scenario, its line that cannot be done, and why.
  @Test(
    "A line that cannot be done ends its scenario with its number, and the others run",
    arguments: [
      ("run guest create -o guest --memory 64K\nkeep x", 2, "[INPUT-OPEN] no line before"),
      ("run guest create -o guest --memory 64K\nkeep guest", 2, "[INPUT-KIND] guest is a folder"),
      ("input nothing", 1, "[INPUT-OPEN] cannot open"),
      ("# Keys.\nopen there.svsm", 2, "[INPUT-OPEN] no line before"),
      ("input saved.stream\nopen saved.stream", 2, "[INPUT-KIND] saved.stream"),
      (
        "run guest create -o a --memory 64K\nprint a guest show a", 2,
        "[OUTPUT-CREATE] a line before"
      ),
    ])
  func aLineThatCannotBeDoneIsTold(scenario: String, line: Int, reason: String) throws {
    _ = try run("--update")
    try shop.write("golden/saved/scenario", scenario)
    let told = try run(status: 1)
    #expect(told.contains("saved/scenario line \(line): \(reason)"), "\(told)")
    #expect(!told.contains("scratch"), "\(told)")
    #expect(told.hasSuffix("2 scenarios, 4 files, 1 scenario failed\n"), "\(told)")
  }

  /// Rows: lines of which the last has a name that another one has.
  @Test(
    "No expected file takes the place of an input or of another one",
    arguments: [
      "input saved.stream\nprint saved.stream guest --help",
      "keep saved.stream\ninput saved.stream",
      "input saved.stream\nkeep saved.stream", "print a inspect s\nprint a verify s",
      "print a inspect s\nkeep a", "keep a\nkeep a", "input saved.stream\ninput ../saved.stream",
    ])
  func aNameIsUsedOnce(scenario: String) throws {
    let input = try shop.read("golden/saved/saved.stream")
    try shop.write("golden/saved/scenario", scenario)
    let outcome = try shop.run("diff", "--golden @golden --update")
    outcome.requireRefusal(.goldenSyntax)
    #expect(outcome.errors.contains("saved/scenario line 2"), "\(outcome.errors)")
    #expect(try shop.read("golden/saved/saved.stream") == input)
  }

  @Test("Scenarios at every depth are run, but none behind a link or a name with a full stop")
  func scenariosOfAllDepthsAreRun() throws {
    for name in ["other", "other/deep", "other/deep/down", ".hidden"] {
      try shop.folder("golden/\(name)")
    }
    try shop.write("golden/other/scenario", "print help.txt guest --help\n")
    try shop.write(
      "golden/other/deep/down/scenario",
      "input ../../help.txt\ninput ../../../saved/saved.stream\nprint help verify --help\n")
    try shop.write("golden/.hidden/scenario", "nothing\n")
    try FileManager.default.createSymbolicLink(
      atPath: shop["golden/other/link"], withDestinationPath: shop["golden"])
    let told = try run("--update")
    #expect(told.contains("other/deep/down/help: updated\n"), "\(told)")
    #expect(told.hasSuffix("4 scenarios, 7 files, 7 updated\n"), "\(told)")
    try shop.write("golden/other/deep/down/scenario", "input ../../../../secret")
    try shop.run("diff", "--golden @golden").requireRefusal(.goldenSyntax)
  }

  @Test("A stream that is damaged is compared without the instance or byte by byte, and why")
  func aDamagedStreamSaysWhy() throws {
    _ = try run("--update")
    let stream = try shop.read("golden/small/stream.mig")
    let shown = try shop.must("inspect", "@golden/small/stream.mig --json --sections").json
    let pages = try #require(
      shown["sections"]?.array?.first {
        $0["name"] == "snp-private-pages" && $0["type"] == "PART"
      })
    var damaged = stream
    damaged[try #require(pages["bodyOffset"]?.uint.map { Int($0) }) + 1000] ^= 1
    try shop.write("golden/small/stream.mig", damaged)
    let told = try run(status: 1)
    #expect(
      told.contains(
        "\n  compared without the instance, since the expected stream is refused: [PAGE-"),
      "\(told)")
    #expect(told.contains("\n  A  small/stream.mig as expected: "), "\(told)")
    #expect(told.contains("\n  B  small/stream.mig as made: "), "\(told)")
    #expect(told.hasSuffix("2 scenarios, 5 files, 1 differs\n"), "\(told)")
    #expect(!told.contains("scratch"), "\(told)")
    try shop.write("golden/small/stream.mig", Array(stream.dropLast(5000)))
    let cut = try run(status: 1)
    #expect(
      cut.contains(
        "\n  compared byte by byte, since the expected stream is refused: [STREAM-TRUNCATED]"),
      "\(cut)")
  }

  /// Rows: lines that are no step, or that reach out of the folder.
  @Test(arguments: [
    "input ../../secret", "input /etc/passwd", "input a/../b", "keep ../a", "keep scenario",
    "keep .a",
    "print a/b inspect s", "run", "run 0", "run ../inspect s", "run 'a", "sh -c true", "input a b",
    "keep", "open a/b", "input .", "keep /etc/passwd", "print ../a inspect s",
    "run prepare --instance /tmp/a --output b --force", "run prepare --instance a --output ../b",
    "run prepare --instance=/tmp/a --output b", "run prepare --instance a '--output=d/../../b'",
    "run inspect s --memory pc.ram=../m", "run diff a b --channel A=/m", "print a 65 inspect ..",
    "print a inspect --instance=..", "run diff --golden .", "run diff --golden=.",
    "print a diff --golden .", "run verify --vectors v --commands",
    "run verify --vectors v --against true", "run verify --vectors v --against=true",
    "run foo --help", "run 0 foo", "print a foo", "run diff.product",
  ])
  func aLineThatIsNoStepIsRefused(line: String) throws {
    try shop.write("golden/saved/scenario", "# A comment.\n\n\(line)\n")
    let outcome = try shop.run("diff", "--golden @golden")
    outcome.requireRefusal(.goldenSyntax)
    #expect(outcome.errors.contains("saved/scenario line 3"), "\(outcome.errors)")
  }

  /// Rows: a scenario of which a link leads out of the folder, and what stands there.
  @Test(
    "No input comes through a link, whether it is the file, its folder or one in the folder",
    arguments: ["input link/secret", "input secret", "input inner", "input inner/link/secret"])
  func noInputComesThroughALink(scenario: String) throws {
    _ = try run("--update")
    try shop.folder("outside")
    try shop.write("outside/secret", "not for a scenario")
    try shop.folder("golden/saved/inner")
    for (link, target) in [("link", ""), ("inner/link", ""), ("secret", "/secret")] {
      try FileManager.default.createSymbolicLink(
        atPath: shop["golden/saved/\(link)"], withDestinationPath: shop["outside"] + target)
    }
    try shop.write("golden/saved/scenario", scenario)
    let told = try run(status: 1)
    #expect(told.contains("saved/scenario line 1: [INPUT-KIND] cannot read"), "\(told)")
  }

  @Test("Of texts that differ the first line is told, and how many differ")
  func linesAreTold() throws {
    try shop.write("golden/saved/scenario", "print help.txt guest --help\n")
    _ = try run("--update")
    let lines = try shop.text("golden/saved/help.txt").components(separatedBy: "\n")
    var other = lines
    other[0] = "another"
    other += ["more", "still more"]
    try shop.write("golden/saved/help.txt", other.joined(separator: "\n"))
    let told = try run(status: 1)
    #expect(
      told.contains("  line 1, the first of 3:\n  A  another\n  B  \(lines[0])\n"), "\(told)")
  }

  @Test("A folder without a scenario is refused")
  func aFolderWithoutScenariosIsRefused() throws {
    try shop.folder("empty")
    try shop.run("diff", "--golden @empty").requireRefusal(.goldenSyntax)
    try shop.run("diff", "--golden @nothing").requireRefusal(.inputOpen)
  }
}
