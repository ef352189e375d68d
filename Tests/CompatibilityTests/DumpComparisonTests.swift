import Compatibility
import Errors
import TestSupport
import Testing

@Suite struct DumpComparisonTests {
  private func dump(_ name: String) throws -> MachineDump {
    try MachineDump(parsing: Fixture.read("target/\(name).json"), name: name)
  }

  @Test("All thirteen kinds of fault are found that QEMU's checker is tested with")
  func allKindsAreFound() throws {
    let report = try dump("target").report(on: dump("source"))
    #expect(
      report.findings == [
        "lamp TARGET-SECTION", "motor TARGET-VERSION", "motor TARGET-FIELD", "meter TARGET-FIELD",
        "sound TARGET-FIELD", "flash TARGET-FIELD", "array TARGET-FIELD", "bridge TARGET-VERSION",
        "bridge TARGET-SUBSECTION", "carrier TARGET-SECTION", "floppy TARGET-VERSION",
        "floppy TARGET-SUBSECTION", "keyboard TARGET-FIELD",
      ])
  }

  @Test("Other names, room in use and what later versions add are no fault, and the names are told")
  func otherNamesAreNotes() throws {
    let report = try dump("target").report(on: dump("source"))
    let row = try #require(report.row("clock"))
    #expect(row.outcome == .fits)
    #expect(row.notes == ["num_timers, unused is read as num_timers_save, offset, base"])
  }

  @Test("A dump fits itself", arguments: ["source", "target"])
  func aDumpFitsItself(name: String) throws {
    let dump = try dump(name)
    // The source's description of bridge contradicts its type.
    let odd = name == "source" ? ["bridge TARGET-VERSION"] : []
    #expect(dump.report(on: dump).findings == odd)
  }

  @Test("Where no dump tells the length of an array, it may be what room is left for")
  func roomMayBeAnArray() throws {
    let array = try Small.dump([("nic", Small.description("nic", [Small.field("pending", 1)]))])
    let counted = try Small.dump([
      ("nic", Small.description("nic", [Small.field("pending", 1, num: 4)]))
    ])
    let room = try Small.dump([("nic", Small.description("nic", [Small.field("unused", 5)]))])
    #expect(room.report(on: array).refusal == nil && array.report(on: room).refusal == nil)
    #expect(room.report(on: counted).findings.first == "nic TARGET-FIELD")
  }

  @Test("A field that only the destination reads is a finding, unless a version or code brings it")
  func addedFieldsAreFindings() throws {
    let source = try Small.dump([("nic", Small.description("nic", [Small.field("a", 4)]))])
    for (field, isGood) in [
      (Small.field("b", 4), false), (Small.field("b", 4, since: 2), true),
      (Small.field("b", 4, conditional: true), true),
    ] {
      let target = try Small.dump([
        ("nic", Small.description("nic", 2, [Small.field("a", 4), field]))
      ])
      #expect((target.report(on: source).refusal == nil) == isGood)
    }
  }
}
