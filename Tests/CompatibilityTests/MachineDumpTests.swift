import Compatibility
import Errors
import JSON
import QEMUStream
import TestSupport
import Testing

@Suite struct MachineDumpTests {
  @Test func aDumpNamesItsMachineAndTypes() throws {
    let dump = try Small.dump([("e1000", Small.description("e1000", 2, [Small.field("mac", 6)]))])
    #expect(dump.machine == "pc-q35-10.0")
    #expect(dump.types.map(\.name) == ["e1000"])
    #expect(dump.types[0].version == 2 && dump.types[0].minimumVersion == 1)
  }

  @Test("Keys of newer versions are passed over")
  func unknownKeysArePassedOver() throws {
    let text =
      #"{"vmschkmachine": {"Name": "none", "More": 1}, "#
      + #""x": {"version_id": 1, "minimum_version_id": 0, "State": "on"}}"#
    let dump = try MachineDump(parsing: Array(text.utf8), name: "there.json")
    #expect(dump.types.count == 1)
  }

  /// Rows: what is no dump, and a word of what is said of it.
  @Test(arguments: [
    ("", "missing"), ("{", ""), ("[]", "object"), ("{}", "vmschkmachine"),
    (#"{"vmschkmachine": {"Name": 3}}"#, "vmschkmachine"),
    (#"{"vmschkmachine": {"Name": "a"}, "x": 1}"#, "x is not an object"),
    (#"{"vmschkmachine": {"Name": "a"}, "x": {}, "x": {}}"#, "twice"),
    (#"{"vmschkmachine": {"Name": "a"}, "x": {"version_id": -1}}"#, "version_id"),
    (#"{"vmschkmachine": {"Name": "a"}, "x": {"version_id": 4294967296}}"#, "version_id"),
    (#"{"vmschkmachine": {"Name": "a"}, "x": {"version_id": 1}}"#, "minimum_version_id"),
    (
      #"{"vmschkmachine": {"Name": "a"}, "x": {"version_id": 1, "minimum_version_id": 1, "#
        + #""Description": {}}}"#, "no name"
    ),
    (
      #"{"vmschkmachine": {"Name": "a"}, "x": {"version_id": 1, "minimum_version_id": 1, "#
        + #""Description": {"name": "x", "version_id": 1, "minimum_version_id": 1, "Fields": 1}}}"#,
      "not an array"
    ),
    (
      #"{"vmschkmachine": {"Name": "a"}, "x": {"version_id": 1, "minimum_version_id": 1, "#
        + #""Description": {"name": "x", "version_id": 1, "minimum_version_id": 1, "#
        + #""Fields": [{"field": "f"}]}}}"#, "no size"
    ),
  ])
  func whatIsNoDumpIsRefused(text: String, word: String) {
    let error = #expect(throws: MigrationError.self) {
      try MachineDump(parsing: Array(text.utf8), name: "there.json")
    }
    #expect(error?.code == .targetSyntax)
    #expect(error?.place == .file("there.json"))
    #expect(error?.what.description.contains(word) == true)
  }

  @Test func whatIsNoJSONIsRefusedAtItsByte() {
    let text = Array(#"{"vmschkmachine": {"Name": "a"},, }"#.utf8)
    let error = #expect(throws: MigrationError.self) {
      try MachineDump(parsing: text, name: "there.json")
    }
    #expect(error?.code == .targetSyntax && error?.offset == 32)
  }

  @Test("A cut dump is refused at every byte, and none of them traps")
  func everyCutIsRefused() throws {
    let text = try Fixture.read("target/target.json")
    for length in stride(from: 0, to: text.count - 2, by: 37) {
      #expect(throws: MigrationError.self) {
        try MachineDump(parsing: Array(text.prefix(length)), name: "cut")
      }
    }
  }

  @Test func structsNestedTooDeepAreRefused() {
    var described = Small.description("x", [])
    for _ in 0..<40 { described = Small.description("x", [Small.field("f", 8, described)]) }
    let error = #expect(throws: MigrationError.self) { try Small.dump([("x", described)]) }
    #expect(error?.code == .targetSyntax)
  }
}

@Suite struct TargetListTests {
  @Test func aListOfMachinesHasNamesAndNothingElse() throws {
    let text = """
      Supported machines are:
      microvm              microvm (i386)
      q35                  Standard PC (Q35 + ICH9, 2009) (alias of pc-q35-10.0)
      pc-q35-10.0          Standard PC (Q35 + ICH9, 2009)

      """
    let list = try TargetList(machines: Array(text.utf8), name: "machines")
    var stream = Small.stream("x", [])
    stream.configuration?.machine = Array("microvm".utf8)
    let target = Target(try Small.dump([]), machines: list)
    let row = try #require(target.report(on: stream).rows.first)
    guard case .refused(let findings, _) = row.outcome else {
      Issue.record("the machine is another")
      return
    }
    #expect(findings[0].got?.description.contains("which the destination has") == true)
    stream.configuration?.machine = Array("Standard".utf8)
    guard case .refused(let others, _) = target.report(on: stream).rows[0].outcome else { return }
    #expect(others[0].got?.description.contains("does not have") == true)
  }

  @Test(arguments: ["", "name", "Supported machines are:", "name \"", "e1000"])
  func whatIsNoListIsRefused(text: String) {
    let bytes = Array(text.utf8)
    let machines = #expect(throws: MigrationError.self) {
      try TargetList(machines: bytes, name: "list")
    }
    let devices = #expect(throws: MigrationError.self) {
      try TargetList(devices: bytes, name: "list")
    }
    #expect(machines?.code == .targetSyntax && devices?.code == .targetSyntax)
  }
}
