import Comparison
import JSON
import Testing

@Suite struct ValueComparisonTests {
  private func differences(_ before: JSON, _ after: JSON) -> [String] {
    var found: [String] = []
    ValueComparison { path, value, now in
      let texts = [value, now].map { $0.map { String(decoding: $0.compact, as: UTF8.self) } ?? "-" }
      found.append("\(path): \(texts[0]) \(texts[1])")
    }.compare(before, after)
    return found
  }

  @Test("Values are told by the way to them, and equal ones are not")
  func valuesAreToldByTheirPath() {
    #expect(
      differences(["a": 1, "b": ["c": [1, 2]]], ["a": 1, "b": ["c": [1, 3]]]) == ["b.c[1]: 2 3"])
    #expect(differences([1, 2], [1, 2, 3]) == ["[]: 2 3"])
    #expect(differences(["a": 1], ["b": 2]) == ["a: 1 -", "b: - 2"])
    #expect(differences(["a": ["b": 1]], ["a": 1]) == ["a: {\"b\": 1} 1"])
    #expect(differences(["a": 1, "b": 2], ["b": 2, "a": 1]) == [])
  }

  @Test("A key that comes again is compared with the one that comes again")
  func aRepeatedKeyHasANumber() {
    #expect(differences(["a": 1, "a": 2], ["a": 1, "a": 3]) == ["a#2: 2 3"])
    #expect(differences(["a": 1, "a": 2, "a#2": 3], ["a": 1, "a": 2, "a#2": 4]) == ["a#2#2: 3 4"])
  }

  @Test("Of long bytes the place, the number and a part are kept")
  func longBytesAreCut() {
    let zeros = String(repeating: "00 ", count: 99) + "00"
    let changed =
      String(repeating: "00 ", count: 40) + "01 00 02" + String(repeating: " 00", count: 57)
    #expect(
      Difference.Change(.string(zeros), .string(changed))
        == .bytes(count: 2, first: 40, before: "000000", after: "010002"))
    #expect(
      Difference.Change(.string(zeros), .string(zeros + " 05"))
        == .bytes(count: 1, first: 100, before: "", after: "05"))
    #expect(Difference.Change(nil, 1) == .changed(before: .null, after: 1))
    #expect(Difference.Change(["a": 1], nil) == .removed)
    let text = String(repeating: "x", count: 100)
    #expect(
      Difference.Change(.string(text), "y")
        == .changed(before: .string(text.prefix(64) + "…"), after: "y"))
  }
}
