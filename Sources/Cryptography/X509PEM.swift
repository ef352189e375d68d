public import Bytes

/// PEM text (RFC 7468): DER between BEGIN and END lines, in Base64.
public enum PEM {
  /// Bytes of text that are read at most.
  public static let limit = 1 << 16

  /// True when `bytes` hold a BEGIN line, so that they are PEM and not DER.
  public static func isText(_ bytes: [UInt8]) -> Bool {
    guard bytes.first != 0x30, bytes.count <= limit else { return false }
    return lines(bytes).contains { $0.hasPrefix("-----BEGIN ") }
  }

  /// The DER of every block labelled `label`, in order; text between blocks and blocks with
  /// other labels are passed over.
  /// - Throws: `CERT-SYNTAX` for text beyond `limit`, a block without its end, or bad Base64.
  public static func blocks(_ label: String, in bytes: [UInt8]) throws(MigrationError)
    -> [[UInt8]]
  {
    guard bytes.count <= limit else {
      throw MigrationError(
        .certificateSyntax, "PEM text is too long", expected: "at most \(limit) bytes",
        got: "\(bytes.count)")
    }
    var found: [[UInt8]] = []
    var open: (label: Substring, base64: [UInt8])?
    for line in lines(bytes) {
      if let block = open {
        if line == "-----END \(block.label)-----" {
          guard let der = decode(block.base64) else { throw malformed("bad Base64") }
          if block.label == label { found.append(der) }
          open = nil
        } else if line.hasPrefix("-----") {
          throw malformed("block does not end as it begins")
        } else {
          open?.base64 += Array(line.utf8)
        }
      } else if line.hasPrefix("-----BEGIN "), line.hasSuffix("-----") {
        open = (line.dropFirst("-----BEGIN ".count).dropLast("-----".count), [])
      }
    }
    guard open == nil else { throw malformed("block has no end") }
    return found
  }

  /// One block, lines of 64 characters, with a newline at the end.
  public static func encode(_ label: String, _ der: [UInt8]) -> String {
    var text = "-----BEGIN \(label)-----\n"
    let base64 = encode(der)
    for start in stride(from: 0, to: base64.count, by: 64) {
      let line = base64[start..<min(start + 64, base64.count)]
      text += String(decoding: line, as: UTF8.self) + "\n"
    }
    return text + "-----END \(label)-----\n"
  }

  private static func malformed(_ why: String) -> MigrationError {
    MigrationError(.certificateSyntax, "PEM text is not well-formed: \(why)")
  }

  private static func lines(_ bytes: [UInt8]) -> [Substring] {
    String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline).map { line in
      line.drop { $0 == " " || $0 == "\t" }
    }.map { line in
      var line = line
      while let last = line.last, last == " " || last == "\t" { line.removeLast() }
      return line
    }
  }

  private static let alphabet = Array(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

  private static func encode(_ bytes: [UInt8]) -> [UInt8] {
    var text: [UInt8] = []
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let group = bytes[start..<min(start + 3, bytes.count)]
      let word = group.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - group.count))
      for place in 0..<4 {
        text.append(
          place <= group.count
            ? alphabet[word >> (18 - 6 * place) & 63] : UInt8(ascii: "="))
      }
    }
    return text
  }

  /// nil unless `text` is whole groups of four with padding only, and rightly, at the end.
  private static func decode(_ text: [UInt8]) -> [UInt8]? {
    guard text.count % 4 == 0 else { return nil }
    let padding = text.reversed().prefix { $0 == UInt8(ascii: "=") }.count
    guard padding <= 2 else { return nil }
    var bytes: [UInt8] = []
    var word = 0
    var bits = 0
    for character in text.dropLast(padding) {
      guard let digit = value(of: character) else { return nil }
      word = (word << 6 | digit) & 0xFFFF
      bits += 6
      if bits >= 8 {
        bits -= 8
        bytes.append(UInt8(word >> bits & 0xFF))
      }
    }
    // The bits left over must be zero, or one content would have several texts.
    return word & (1 << bits - 1) == 0 ? bytes : nil
  }

  private static func value(of character: UInt8) -> Int? {
    switch character {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"): Int(character - UInt8(ascii: "A"))
    case UInt8(ascii: "a")...UInt8(ascii: "z"): Int(character - UInt8(ascii: "a")) + 26
    case UInt8(ascii: "0")...UInt8(ascii: "9"): Int(character - UInt8(ascii: "0")) + 52
    case UInt8(ascii: "+"): 62
    case UInt8(ascii: "/"): 63
    default: nil
    }
  }
}
