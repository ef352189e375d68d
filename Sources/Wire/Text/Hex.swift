/// Hexadecimal text of bytes, as tools print and read it.
package enum Hex {
  private static let digits = Array("0123456789abcdef".utf8)

  /// Two lower-case digits for each byte, first byte first.
  package static func encode(_ bytes: some Sequence<UInt8>) -> String {
    var text: [UInt8] = []
    for byte in bytes {
      text.append(digits[Int(byte >> 4)])
      text.append(digits[Int(byte & 15)])
    }
    return String(decoding: text, as: UTF8.self)
  }

  /// A number: `0x` and lower-case digits, as many as it needs but at least `digits`.
  package static func number(_ value: some BinaryInteger, digits: Int = 1) -> String {
    let text = String(value, radix: 16)
    return "0x" + String(repeating: "0", count: max(0, digits - text.utf8.count)) + text
  }

  /// Two lower-case digits for each byte, with a space between bytes. The text is made in place,
  /// since it may have megabytes.
  package static func spaced(_ bytes: Span<UInt8>) -> String {
    guard !bytes.isEmpty else { return "" }
    let count = 3 * bytes.count - 1
    // Each of the `count` bytes of the new string's buffer is written once, below.
    return unsafe String(unsafeUninitializedCapacity: count) { text in
      for index in bytes.indices {
        unsafe text[3 * index] = digits[Int(bytes[index] >> 4)]
        unsafe text[3 * index + 1] = digits[Int(bytes[index] & 15)]
        if index > 0 { unsafe text[3 * index - 1] = UInt8(ascii: " ") }
      }
      return count
    }
  }

  /// The bytes of a hexadecimal text; nil when it is not an even number of hexadecimal digits.
  package static func decode(_ text: some StringProtocol) -> [UInt8]? {
    var bytes: [UInt8] = []
    var high: UInt8?
    for character in text.utf8 {
      guard let digit = value(of: character) else { return nil }
      if let first = high {
        bytes.append(first << 4 | digit)
        high = nil
      } else {
        high = digit
      }
    }
    return high == nil ? bytes : nil
  }

  /// The same, with or without `0x` before the digits.
  package static func decode(prefixed text: some StringProtocol) -> [UInt8]? {
    decode(text.hasPrefix("0x") || text.hasPrefix("0X") ? text.dropFirst(2) : text[...])
  }

  private static func value(of character: UInt8) -> UInt8? {
    switch character {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): character - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): character - UInt8(ascii: "A") + 10
    default: nil
    }
  }
}
