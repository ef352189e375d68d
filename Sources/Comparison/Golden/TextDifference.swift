internal import FileIO
internal import JSON

/// How two texts differ: as JSON where both are JSON, else line by line.
struct TextDifference {
  /// Longer files are compared by their bytes.
  private static let limit = 16 << 20
  /// Most values that are kept.
  private static let valueLimit = 64

  private(set) var found: GoldenDifference

  /// - Returns: nil where one of them is no text.
  init?(_ expected: InputFile, _ made: InputFile) {
    guard let one = try? expected.readAll(limit: Self.limit),
      let other = try? made.readAll(limit: Self.limit),
      !one.contains(0), let text = String(validating: one, as: UTF8.self),
      let later = String(validating: other, as: UTF8.self)
    else { return nil }
    if let before = try? JSON(parsing: one), let after = try? JSON(parsing: other),
      before != after
    {
      found = Self.values(before, after)
    } else {
      found = Self.lines(text, later)
    }
  }

  private static func values(_ before: JSON, _ after: JSON) -> GoldenDifference {
    var values: [Difference] = []
    var omitted = 0
    ValueComparison { path, change in
      guard values.count < valueLimit else {
        omitted += 1
        return
      }
      values.append(
        Difference(area: .file, name: "", field: path, change: change))
    }.compare(before, after)
    return .values(values, omitted: omitted)
  }

  private static func lines(_ before: String, _ after: String) -> GoldenDifference {
    func split(_ text: String) -> [Substring.UTF8View] {
      text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    }
    let (one, other) = (split(before), split(after))
    func line(_ lines: [Substring.UTF8View], _ index: Int) -> String {
      lines.indices.contains(index) ? String(Substring(lines[index])) : ""
    }
    let common = min(one.count, other.count)
    let differ = (0..<common).filter { !one[$0].elementsEqual(other[$0]) }
    let first = differ.first ?? common
    return .lines(
      first: first + 1, before: line(one, first), after: line(other, first),
      count: differ.count + max(one.count, other.count) - common)
  }
}
