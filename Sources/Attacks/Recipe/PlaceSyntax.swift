/// A place in the notation of recipes: `page[3].gpa+2`, `footer(commit)`, `0x1f4`, `end`
/// (`Formats/vectors.md`, "Places").
struct PlaceSyntax: Hashable, Sendable {
  enum Index: Hashable, Sendable {
    case number(Int)
    case last
    /// The one that the seed chooses, or the one this many after it.
    case chosen(Int)
  }
  struct Step: Hashable, Sendable {
    var name: String
    var index: Index?
  }
  enum Base: Hashable, Sendable {
    case absolute(UInt64)
    case end
    case path([Step])
  }
  /// The bytes of a section that are meant.
  enum Part: String, Hashable, Sendable, CaseIterable {
    case header, body, footer
    /// From its first byte to the end of the stream.
    case rest
    /// From the first of its kind to the last.
    case all
  }
  enum Shift: Hashable, Sendable {
    case bytes(UInt64)
    /// A byte of the place that the seed chooses.
    case chosen
  }

  var base: Base
  var part: Part?
  /// Fields after `header(...)`.
  var inner: [Step] = []
  var shift: Shift?
  var text: String

  /// - Returns: nil when `text` is not a place.
  init?(_ text: String) {
    self.text = text
    var rest = text[...]
    if let plus = rest.lastIndex(of: "+"),
      rest.firstIndex(of: "[").map({ $0 < plus }) != true
        || rest.lastIndex(of: "]").map({ $0 < plus }) == true
    {
      let digits = rest[rest.index(after: plus)...]
      if digits == "?" {
        shift = .chosen
      } else {
        guard let value = Self.number(digits) else { return nil }
        shift = .bytes(value)
      }
      rest = rest[..<plus]
    }
    for part in Part.allCases where rest.hasPrefix(part.rawValue + "(") {
      guard let close = rest.lastIndex(of: ")") else { return nil }
      let tail = rest[rest.index(after: close)...]
      if !tail.isEmpty {
        guard tail.first == ".", let steps = Self.steps(tail.dropFirst()) else { return nil }
        inner = steps
      }
      self.part = part
      rest = rest[..<close].dropFirst(part.rawValue.count + 1)
      break
    }
    if rest == "end", part == nil {
      base = .end
    } else if let number = Self.number(rest), part == nil {
      base = .absolute(number)
    } else {
      guard let steps = Self.steps(rest) else { return nil }
      base = .path(steps)
    }
  }

  /// A decimal number, or a hexadecimal number after 0x.
  static func number(_ text: Substring) -> UInt64? {
    let isHex = text.hasPrefix("0x")
    let digits = isHex ? text.dropFirst(2) : text
    // `UInt64` would also accept a sign.
    guard digits.first != "+", digits.first != "-" else { return nil }
    return UInt64(digits, radix: isHex ? 16 : 10)
  }

  private static func steps(_ text: Substring) -> [Step]? {
    var steps: [Step] = []
    for word in text.split(separator: ".", omittingEmptySubsequences: false) {
      guard let step = step(word) else { return nil }
      steps.append(step)
    }
    return steps
  }

  private static func step(_ word: Substring) -> Step? {
    var name = word
    var index: Index?
    if let open = word.firstIndex(of: "[") {
      guard word.last == "]" else { return nil }
      name = word[..<open]
      let inside = word[word.index(after: open)...].dropLast()
      if inside == "last" {
        index = .last
      } else if inside.first == "?" {
        let tail = inside.dropFirst()
        guard tail.isEmpty || tail.first == "+" else { return nil }
        guard let step = tail.isEmpty ? 0 : number(tail.dropFirst()), step < 1 << 16 else {
          return nil
        }
        index = .chosen(Int(step))
      } else {
        guard let value = number(inside), let small = Int(exactly: value) else { return nil }
        index = .number(small)
      }
    }
    guard let first = name.utf8.first, first != UInt8(ascii: "-"), name.utf8.allSatisfy(isWord)
    else { return nil }
    return Step(name: String(name), index: index)
  }

  private static func isWord(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
      true
    default: false
    }
  }
}
