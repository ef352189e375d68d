import Comparison
import JSON
import Testing

@Suite struct ValueComparisonTests {
  private func differences(_ before: JSON, _ after: JSON) -> [String] {
    var found: [String] = []
    ValueComparison { path, change in
      guard case .changed(let value, let now) = change else {
        return found.append("\(path): \(change)")
      }
      let texts = [value, now].map { String(decoding: $0.compact, as: UTF8.self) }
      found.append("\(path): \(texts[0]) \(texts[1])")
    }.compare(before, after)
    return found
  }

  @Test("Values are told by the way to them, and equal ones are not")
  func valuesAreToldByTheirPath() {
    #expect(
      differences(["a": 1, "b": ["c": [1, 2]]], ["a": 1, "b": ["c": [1, 3]]]) == ["b.c[1]: 2 3"])
    #expect(differences([1, 2], [1, 2, 3]) == ["[]: 2 3"])
    #expect(differences(["a": 1], ["b": 2]) == ["a: 1 null", "b: null 2"])
    #expect(differences(["a": ["b": 1]], ["a": 1]) == ["a: \"a structure\" 1"])
    #expect(differences(["a": 1, "b": 2], ["b": 2, "a": 1]) == [])
  }

  @Test("Many elements that differ are told in one piece, a few one by one")
  func manyElementsAreOneDifference() {
    let zeros = [JSON](repeating: "0x0", count: 40)
    var few = zeros
    few.replaceSubrange(3..<5, with: ["0x1", "0x2"])
    #expect(
      differences(["a": .array(zeros)], ["a": .array(few)])
        == ["a[3]: \"0x0\" \"0x1\"", "a[4]: \"0x0\" \"0x2\""])
    let many = zeros[..<5] + [JSON](repeating: "0x1", count: 35)
    let told = differences(["a": .array(zeros)], ["a": .array(Array(many))])
    #expect(told.count == 1 && told[0].hasPrefix("a: elements(count: 35, first: 5"), "\(told)")
  }

  @Test("A key that comes again is compared with the one that comes again")
  func aRepeatedKeyHasANumber() {
    #expect(differences(["a": 1, "a": 2], ["a": 1, "a": 3]) == ["a#2: 2 3"])
    #expect(differences(["a": 1, "a": 2, "a#2": 3], ["a": 1, "a": 2, "a#2": 4]) == ["a#2#2: 3 4"])
  }

  @Test("A value that only has another name differs, unless the names are told elsewhere")
  func anotherNameIsNoOtherValue() {
    let (one, other): (JSON, JSON) = (
      ["a": 1, "old": [1, 2], "c": 3], ["a": 1, "new": [1, 2], "c": 4]
    )
    #expect(differences(one, other).count == 3)
    var found: [String] = []
    ValueComparison(renaming: true) { path, _ in found.append(path) }.compare(one, other)
    #expect(found == ["c"])
    found = []
    ValueComparison(renaming: true) { path, _ in found.append(path) }
      .compare(["old": 1, "c": 3], ["new": 2, "c": 3])
    #expect(found == ["old", "new"])
  }

  @Test("Of long bytes the place, the number and a part are kept")
  func longBytesAreCut() {
    let zeros = String(repeating: "00 ", count: 99) + "00"
    let changed =
      String(repeating: "00 ", count: 40) + "01 00 02" + String(repeating: " 00", count: 57)
    #expect(
      Difference.Change(.string(zeros), .string(changed))
        == .bytes(
          count: 2, first: 40, before: "000000", after: "010002",
          sizes: .init(before: 100, after: 100)))
    #expect(
      Difference.Change(.string(zeros), .string(zeros + " 05"))
        == .bytes(
          count: 1, first: 100, before: "", after: "05", sizes: .init(before: 100, after: 101)))
    #expect(Difference.Change(nil, 1) == .changed(before: .null, after: 1))
    #expect(Difference.Change(["a": 1], nil) == .removed)
    let text = String(repeating: "x", count: 100)
    #expect(
      Difference.Change(.string(text), "y")
        == .changed(before: .string(text.prefix(64) + "…"), after: "y"))
  }
}
