import Comparison
import Inspection
import JSON
import Testing

@Suite struct DifferenceNotesTests {
  private func difference(_ name: String, _ field: String) -> Difference {
    Difference(
      area: .device, name: name, field: field, change: .changed(before: "0x1", after: "0x2"))
  }

  @Test("The first differences are kept, and behind the first without room none is")
  func longNamesAreLimited() {
    let notes = DifferenceNotes([])
    for number in 0..<100_000 {
      notes.note(difference("\(number)" + String(repeating: "n", count: 250), "bytes"))
    }
    notes.note(difference("a", "b"))
    let kept = notes.differences.elements
    #expect(30_000..<35_000 ~= kept.count && notes.differences.count == 100_001)
    #expect(kept.last?.name.hasPrefix("\(kept.count - 1)n") == true)
  }

  @Test("The name of a thing takes room once, however many fields of it differ")
  func oneNameIsOneText() {
    let notes = DifferenceNotes([])
    let name = String(repeating: "n", count: 250)
    for number in 0..<100_000 { notes.note(difference(name, "f\(number)")) }
    #expect(notes.differences.omitted == 0)
  }

  @Test("What a rule leaves out takes no room, and is counted")
  func whatIsLeftOutTakesNoRoom() throws {
    let notes = DifferenceNotes([try #require(IgnoreRule(parsing: "device/n*"))])
    notes.note(difference(String(repeating: "n", count: 9 << 20), "f"))
    notes.note(difference("hpet", "f"))
    #expect(notes.ignored == 1 && notes.differences.elements.map(\.name) == ["hpet"])
  }
}
