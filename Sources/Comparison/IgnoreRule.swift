/// A rule that leaves differences out: a cause by its name, or a pattern of what differs.
package struct IgnoreRule: Sendable, Equatable {
  private let cause: Cause?
  private let pattern: [UInt8]

  /// - Parameter text: the name of a cause, or area, name and field with slashes between them. Parts at the
  ///   end may be left out, and `*` stands for any characters.
  /// - Returns: nil when the text names neither a cause nor an area.
  package init?(parsing text: String) {
    cause = Cause(rawValue: text)
    pattern = Array(text.utf8)
    let area = text.prefix { $0 != "/" }
    guard cause != nil || area.contains("*") || Area(rawValue: String(area)) != nil else {
      return nil
    }
  }

  /// - Parameter path: `Difference.path`.
  package func covers(_ path: String, _ cause: Cause?) -> Bool {
    if let mine = self.cause { return mine == cause }
    let path = Array(path.utf8)
    return Glob.matches(pattern, path) || Glob.matches(pattern + Array("/*".utf8), path)
  }
}

/// Patterns in which `*` stands for any characters, and every other character for itself.
package enum Glob {
  /// Takes a time proportional to the product of both lengths.
  package static func matches(_ pattern: [UInt8], _ text: [UInt8]) -> Bool {
    let star = UInt8(ascii: "*")
    var (next, place) = (0, 0)
    // Where to go on when what follows the last star does not match: one more byte for the star.
    var retry: (next: Int, place: Int)?
    while place < text.count {
      if next < pattern.count, pattern[next] == star {
        next += 1
        retry = (next, place)
      } else if next < pattern.count, pattern[next] == text[place] {
        (next, place) = (next + 1, place + 1)
      } else if let last = retry {
        retry = (last.next, last.place + 1)
        (next, place) = (last.next, last.place + 1)
      } else {
        return false
      }
    }
    return pattern[next...].allSatisfy { $0 == star }
  }
}
