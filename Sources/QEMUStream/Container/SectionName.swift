internal import Wire

/// An idstr: the name of a section, a RAM block or a subsection, 1 to 255 bytes as they are in the
/// stream.
///
/// Names come from the stream and are never trusted: they are compared byte by byte, shown only in
/// escaped form, and never used as a path.
package struct SectionName: Hashable, Sendable {
  package let bytes: [UInt8]

  /// - Returns: nil unless there are 1 to 255 bytes.
  package init?(_ bytes: [UInt8]) {
    guard 1...255 ~= bytes.count else { return nil }
    self.bytes = bytes
  }

  /// - Returns: nil unless the text is 1 to 255 bytes of UTF-8.
  package init?(_ text: String) { self.init(Array(text.utf8)) }

  /// Whether `other` holds exactly the bytes of `name`.
  package static func == (name: SectionName, other: Span<UInt8>) -> Bool {
    guard name.bytes.count == other.count else { return false }
    for index in other.indices where name.bytes[index] != other[index] { return false }
    return true
  }
}

extension SectionName: CustomStringConvertible {
  /// The name for people: printable ASCII is unchanged, a backslash is doubled, and any other byte
  /// is shown as `\xNN`.
  package var description: String {
    var text = ""
    for byte in bytes {
      switch byte {
      case UInt8(ascii: "\\"): text += "\\\\"
      case 0x20...0x7E: text.unicodeScalars.append(Unicode.Scalar(byte))
      default: text += "\\x" + Hex.encode(CollectionOfOne(byte))
      }
    }
    return text
  }
}

extension SectionName: ExpressibleByStringLiteral {
  /// For names in the source code; a literal of 0 or more than 255 bytes is a programming error.
  package init(stringLiteral value: String) {
    precondition(1...255 ~= value.utf8.count)
    bytes = Array(value.utf8)
  }
}
