import Errors
import Inspection
import JSON
import QEMUStream
import SVSM
import TestSupport
import Testing

/// The first step in which two traces differ.
@Suite struct TraceDifferenceTests {
  private static let head = #"{"schema": "svsm-migration/trace/1", "side": "destination"}"#

  private func trace(_ steps: [String], head: String = head) -> NamedTrace {
    NamedTrace(ArraySource(Array(([head] + steps).map { $0 + "\n" }.joined().utf8)), named: "trace")
  }

  private func step(_ number: Int, _ call: String = "process-pages", _ present: Int = 0) -> String {
    #"{"step": \#(number), "call": "\#(call)", "offset": \#(number * 10), "counts": {"records": 3, "present": \#(present)}}"#
  }

  @Test("traces with the same steps do not differ")
  func equalTracesDoNotDiffer() throws {
    let steps = (1...5000).map { step($0) }
    #expect(try firstDifference(of: trace(steps), and: trace(steps)) == nil)
    #expect(try firstDifference(of: trace([]), and: trace([])) == nil)
  }

  @Test("the first step that differs is named, with each member that differs")
  func theFirstStepIsNamed() throws {
    let mine = [step(1), step(2), step(3), step(4)]
    let theirs = [step(1), step(2), step(3, "process-commit", 7), step(9)]
    let difference = try #require(try firstDifference(of: trace(mine), and: trace(theirs)))
    #expect(difference.step == 3)
    #expect(difference.fields.map(\.name) == ["call", "counts.present"])
    #expect(difference.fields.map(\.first) == ["process-pages", 0])
    #expect(difference.fields.map(\.second) == ["process-commit", 7])
    let other = try firstDifference(
      of: trace(mine), and: trace(theirs), ignoring: ["call", "counts.present"])
    #expect(other?.step == 4)
    #expect(other?.fields.map(\.name) == ["step", "offset"])
  }

  @Test("a member that one step lacks differs")
  func aMissingMemberDiffers() throws {
    let difference = try firstDifference(
      of: trace([#"{"step": 1}"#]), and: trace([#"{"step": 1, "refused": "PAGE-TAG"}"#]))
    #expect(difference?.fields.map(\.name) == ["refused"])
    #expect(difference?.fields.first?.first == nil)
    #expect(difference?.fields.first?.second == "PAGE-TAG")
  }

  @Test("a trace that ends earlier differs in the step that it lacks")
  func aShorterTraceDiffers() throws {
    let difference = try firstDifference(
      of: trace([step(1)]), and: trace([step(1), step(2)]))
    #expect(difference?.step == 2 && difference?.first == nil && difference?.second != nil)
    #expect(difference?.fields.isEmpty == true)
  }

  @Test("traces of different sides differ before their first step")
  func sidesDiffer() throws {
    let other = trace([step(1)], head: Self.head.replacing("destination", with: "source"))
    let difference = try firstDifference(of: trace([step(1)]), and: other)
    #expect(difference?.step == 0 && difference?.fields.map(\.name) == ["side"])
    let again = trace([step(1)], head: Self.head.replacing("destination", with: "source"))
    #expect(try firstDifference(of: trace([step(1)]), and: again, ignoring: ["side"]) == nil)
  }

  @Test("what is no trace is refused, and so is a line that is no step")
  func whatIsNoTraceIsRefused() throws {
    for head in ["", "[]", "not JSON", #"{"schema": "svsm-migration/trace/2", "side": "source"}"#] {
      #expect(
        refusalCode {
          _ = try firstDifference(of: trace([], head: head), and: trace([]))
        } == .inputKind, "\(head)")
    }
    for line in ["[]", "{", "7", #"{"step": 1} x"#] {
      #expect(
        refusalCode {
          _ = try firstDifference(of: trace([step(1), line]), and: trace([step(1), step(2)]))
        } == .json, "\(line)")
    }
  }

  @Test("a line that is too long, has too many values or nests them too deep is refused")
  func aLineHasLimits() throws {
    for line in [
      String(repeating: " ", count: 1 << 20 + 1),
      #"{"a": [\#(Array(repeating: "0", count: 1 << 16).joined(separator: ","))]}"#,
      #"{"a": \#(String(repeating: "[", count: 8))\#(String(repeating: "]", count: 8))}"#,
    ] {
      #expect(
        refusalCode { _ = try firstDifference(of: trace([line]), and: trace([step(1)])) } == .json)
    }
  }

  @Test("the longest step that a trace can have is read")
  func theLongestStepIsRead() throws {
    let change =
      #"{"gpa": "0xfffffffff000", "pages": 68719476736, "before": "unaccepted", "after": "unaccepted"}"#
    let changes = Array(repeating: change, count: TraceStep.changeLimit).joined(separator: ", ")
    let longest = #"{"step": 1, "call": "begin-epoch", "pageStates": [\#(changes)]}"#
    let difference = try firstDifference(of: trace([longest]), and: trace([step(1)]))
    #expect(difference?.fields.map(\.name) == ["call", "pageStates", "offset", "counts"])
  }

  @Test("objects of as many members as a line can have are compared at once")
  func manyMembersAreCompared() throws {
    func line(_ value: Int) -> String {
      "{" + (0..<65_000).map { #""\#($0)":\#(value)"# }.joined(separator: ",") + "}"
    }
    let difference = try firstDifference(of: trace([line(1)]), and: trace([line(2)]))
    #expect(difference?.fields.count == 65_000)
    #expect(try firstDifference(of: trace([line(1)]), and: trace([line(1)])) == nil)
  }

  @Test("no damage to a trace traps its reader, and a whole trace differs from each damaged one")
  func noDamageTraps() throws {
    let whole = try Fixture.read("golden/rounds/load.jsonl")
    let named = { (bytes: [UInt8]) in NamedTrace(ArraySource(bytes, pieceSize: 777), named: "t") }
    for place in stride(from: 0, to: whole.count, by: 61) {
      for bytes in [
        Array(whole[..<place]), whole[..<place] + [whole[place] ^ 1] + whole[(place + 1)...],
      ] {
        do throws(MigrationError) {
          let difference = try firstDifference(of: named(whole), and: named(Array(bytes)))
          // Without its last line feed a trace says the same.
          #expect(difference != nil || bytes.count >= whole.count - 1)
        } catch {
          #expect(error.code == .json || error.code == .inputKind)
        }
      }
    }
  }
}
