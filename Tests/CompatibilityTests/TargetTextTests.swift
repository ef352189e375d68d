import Compatibility
import Foundation
import TestSupport
import Testing

/// `Formats/target.md` and the code say the same.
@Suite struct TargetTextTests {
  @Test func theTextListsWhatCodeRegisters() throws {
    let text = try Repository.text("Formats/target.md")
    let start = try #require(text.range(of: "## 4. "))
    let end = try #require(text.range(of: "## 5. "))
    let listed = text[start.upperBound..<end.lowerBound].split(separator: "\n")
      .filter { $0.hasPrefix("    ") }.flatMap { $0.split(separator: " ") }.map(String.init)
    #expect(Set(listed) == HandRegistered.names)
    #expect(listed.count == HandRegistered.names.count)
  }
}
