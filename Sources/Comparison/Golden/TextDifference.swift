internal import FileIO
internal import JSON

/// How two texts differ: as JSON where both are JSON, else line by line.
struct TextDifference {
  /// Longer files are compared by their bytes.
  private static let limit = 16 << 20
  /// Longest JSON text that is compared by its values, in bytes, and most values of one: both are in memory.
  private static let jsonLimit = 4 << 20
  private static let jsonValueLimit = 1 << 17
  /// Most values that are kept.
  private static let valueLimit = 64
  /// Most bytes that are kept of a line.
  private static let lineLimit = 1024

  private(set) var found: GoldenDifference

  /// - Returns: nil where one of them is no text.
  init?(_ expected: InputFile, _ made: InputFile) {
    guard let one = try? expected.readAll(limit: Self.limit), Self.isText(one),
      let other = try? made.readAll(limit: Self.limit), Self.isText(other)
    else { return nil }
    if let before = Self.json(one), let after = Self.json(other), before != after {
      found = Self.values(before, after)
    } else {
      found = Self.lines(one, other)
    }
  }

  private static func isText(_ bytes: [UInt8]) -> Bool {
    !bytes.contains(0) && (try? UTF8Span(validating: bytes.span)) != nil
  }

  private static func json(_ bytes: [UInt8]) -> JSON? {
    guard bytes.count <= jsonLimit else { return nil }
    return try? JSON(parsing: bytes, valueLimit: jsonValueLimit)
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

  private static func lines(_ before: [UInt8], _ after: [UInt8]) -> GoldenDifference {
    var (one, other) = (Lines(before), Lines(after))
    var (number, count) = (0, 0)
    var first: (line: Int, before: String, after: String)?
    while true {
      let (line, twin) = (one.next(), other.next())
      if line == nil, twin == nil { break }
      number += 1
      if let line, let twin, before[line].elementsEqual(after[twin]) { continue }
      count += 1
      if first == nil { first = (number, text(before, line), text(after, twin)) }
    }
    return .lines(
      first: first?.line ?? 0, before: first?.before ?? "", after: first?.after ?? "", count: count)
  }

  /// A line as it is shown; empty where there is none.
  private static func text(_ bytes: [UInt8], _ line: Range<Int>?) -> String {
    String(decoding: bytes[line ?? 0..<0].prefix(lineLimit), as: UTF8.self)
  }
}

/// Where the lines of a text are, one after the other.
private struct Lines {
  private let bytes: [UInt8]
  /// Where the next line begins; nil after the last one.
  private var start: Int? = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  mutating func next() -> Range<Int>? {
    guard let begin = start else { return nil }
    let end = bytes[begin...].firstIndex(of: UInt8(ascii: "\n"))
    start = end.map { $0 + 1 }
    return begin..<(end ?? bytes.count)
  }
}
