/// Bytes written as text, as tools print them and people paste them.
public struct BinaryText: Equatable, Sendable {
  public enum Coding: String, Sendable {
    /// Two digits a byte, of either case, `0x` before the first or not.
    case hex
    /// The alphabet of RFC 4648, section 4 or 5, padded or not.
    case base64
  }

  public let coding: Coding
  public let bytes: [UInt8]

  /// What `text` spells; nil when it is neither, or empty. White space is passed over: lines may
  /// be of any length. A text that is both is hex.
  public init?(_ text: [UInt8]) {
    let digits = text.filter { !$0.isWhiteSpace }
    guard !digits.isEmpty else { return nil }
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

extension JSON {
  /// The bytes this value spells: an array of numbers from 0 to 255, or a string that is a
  /// `BinaryText`; nil for anything else. An empty string or array is no bytes.
  public var bytes: [UInt8]? {
    switch self {
    case .array(let elements):
      var bytes: [UInt8] = []
      for element in elements {
        guard let byte = element.uint.flatMap({ UInt8(exactly: $0) }) else { return nil }
        bytes.append(byte)
      }
      return bytes
    case .string(let text): return text.isEmpty ? [] : BinaryText(Array(text.utf8))?.bytes
    default: return nil
    }
  }
}

extension UInt8 {
  /// A space, tab, or an end of line in ASCII.
  public var isWhiteSpace: Bool { self == 0x20 || 0x09...0x0D ~= self }
}
