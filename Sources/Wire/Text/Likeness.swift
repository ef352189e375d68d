internal import Errors

/// What a file that is not of the expected kind looks like. A message that says so tells its reader
/// what to do next.
///
/// It is a guess from the first bytes, and only used in messages.
package enum Likeness: Equatable, Sendable {
  case empty
  /// Two bytes for each character, as some shells write redirected output.
  case utf16
  case html
  case json(String)
  /// Lines of an offset, digits and characters, as `xxd` prints them.
  case dump
  case hex
  case base64
  /// Other text, by its first line.
  case text(String)
  /// Binary data, by the number of bytes and the first of them.
  case binary(Int, [UInt8])

  /// Makes a guess from the content of a file, or its beginning.
  package init(_ bytes: [UInt8]) {
    guard !bytes.isEmpty else {
      self = .empty
      return
    }
    if bytes.starts(with: [0xFF, 0xFE]) || bytes.starts(with: [0xFE, 0xFF]) {
      self = .utf16
      return
    }
    guard bytes.isText else {
      self = .binary(bytes.count, Array(bytes.prefix(8)))
      return
    }
    let text = bytes.withoutByteOrderMark.drop(while: \.isWhiteSpace)
    let line = String(decoding: text.prefix { $0 != 0x0A && $0 != 0x0D }.prefix(60), as: UTF8.self)
    switch text.first {
    case nil: self = .text("")
    case UInt8(ascii: "<"): self = .html
    case UInt8(ascii: "{"), UInt8(ascii: "["): self = .json(line)
    default:
      // Words could be Base64 as well, but have spaces between them.
      let isWords = line.contains(" ")
      switch isWords ? nil : BinaryText(Array(text))?.coding {
      case .hex: self = .hex
      case .base64: self = .base64
      case nil: self = Self.isDump(line) ? .dump : .text(line)
      }
    }
  }

  /// "00000000: 0300 0000": at least four digits, a colon, a space.
  private static func isDump(_ line: String) -> Bool {
    let digits = line.prefix { $0.isHexDigit }
    return digits.utf8.count >= 4 && line.dropFirst(digits.count).hasPrefix(": ")
  }
}

extension Likeness: CustomStringConvertible {
  /// A clause for a message, with advice where there is any.
  package var description: String {
    switch self {
    case .empty: "an empty file"
    case .utf16: "text in UTF-16: write it as UTF-8"
    case .html: "an HTML page, such as a server's error page"
    case .json(let start): "JSON: \(printable(start))"
    case .dump: "a hex dump: xxd -r makes a file of it"
    case .hex: "hex digits: xxd -r -p makes bytes of them"
    case .base64: "Base64: base64 -d makes bytes of it"
    case .text(let line): "text: \"\(printable(line))\""
    case .binary(let count, let start): "\(count) bytes that begin with \(Hex.encode(start))"
    }
  }

  /// The same, for a reader that has already decoded hex digits and Base64.
  package var decodedDescription: String {
    switch self {
    case .hex: "hex digits that spell something else"
    case .base64: "Base64 that spells something else"
    default: description
    }
  }
}

extension [UInt8] {
  /// Whether this begins like text: the first 24 bytes have no control characters except white
  /// space. Certificate tables, reports and DER all have some there.
  package var isText: Bool {
    !isEmpty && prefix(24).allSatisfy { $0 >= 0x20 && $0 != 0x7F || $0.isWhiteSpace }
  }

  /// The bytes without the byte order mark that some editors write before UTF-8.
  package var withoutByteOrderMark: [UInt8] {
    starts(with: [0xEF, 0xBB, 0xBF]) ? Array(dropFirst(3)) : self
  }
}
