/// Bytes in the form of text, as tools print them and users paste them.
package struct BinaryText: Equatable, Sendable {
  /// The codings of bytes as text.
  package enum Coding: String, Sendable {
    /// Two digits for each byte, in either case, with or without `0x` before the first.
    case hex
    /// The alphabet of RFC 4648, section 4 or 5, with or without padding.
    case base64
  }

  /// The coding of the text.
  package let coding: Coding
  /// The decoded bytes.
  package let bytes: [UInt8]

  /// Decodes `text`; nil when it is neither coding, or empty. White space is ignored, so lines may
  /// have any length. A text that is valid in both codings is hex.
  package init?(_ text: [UInt8]) {
    let digits = text.filter { !$0.isWhiteSpace }
    guard !digits.isEmpty, digits.allSatisfy({ $0 < 0x80 }) else { return nil }
    if let bytes = Hex.decode(prefixed: String(decoding: digits, as: UTF8.self)), !bytes.isEmpty {
      (coding, self.bytes) = (.hex, bytes)
    } else if let bytes = Self.base64(digits) {
      (coding, self.bytes) = (.base64, bytes)
    } else {
      return nil
    }
  }

  private static func base64(_ digits: [UInt8]) -> [UInt8]? {
    var digits = digits.map { digit in
      switch digit {
      case UInt8(ascii: "-"): UInt8(ascii: "+")
      case UInt8(ascii: "_"): UInt8(ascii: "/")
      default: digit
      }
    }
    if digits.last != UInt8(ascii: "=") {
      digits += [UInt8](repeating: UInt8(ascii: "="), count: (4 - digits.count % 4) % 4)
    }
    return Base64.decode(digits)
  }
}

extension UInt8 {
  /// A space, tab, or an end of line in ASCII.
  package var isWhiteSpace: Bool { self == 0x20 || 0x09...0x0D ~= self }
}
