package import QEMUStream

/// Sections of a stream that somebody asks for.
package enum SectionChoice: Sendable {
  case none
  case all
  case named(SectionQuery)

  /// Whether a section is one of them.
  package func holds(_ header: SectionHeader) -> Bool {
    switch self {
    case .none: false
    case .all: true
    case .named(let query): query.matches(header)
    }
  }
}

/// The name of sections as a user writes it: a name as tools show it, or its part after the last
/// slash; with a blank and a number after it, only the section of this instance.
package struct SectionQuery: Sendable, Hashable {
  package let text: String

  package init(_ text: String) { self.text = text }

  package func matches(_ header: SectionHeader) -> Bool {
    if Self.isName(text[...], of: header.name) { return true }
    guard let blank = text.lastIndex(of: " "),
      UInt32(text[text.index(after: blank)...]) == header.instance
    else { return false }
    return Self.isName(text[..<blank], of: header.name)
  }

  private static func isName(_ text: Substring, of name: SectionName) -> Bool {
    if name.bytes.elementsEqual(text.utf8) || name.description == text { return true }
    guard let slash = name.bytes.lastIndex(of: UInt8(ascii: "/")) else { return false }
    return name.bytes[(slash + 1)...].elementsEqual(text.utf8)
  }
}
