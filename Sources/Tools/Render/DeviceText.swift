internal import Cryptography
internal import Errors
internal import Inspection
internal import JSON
internal import QEMUStream
internal import Wire

extension DecodedDevice {
  /// Shows the values, one field on each line, nested fields indented.
  /// - Parameter isFull: whether long values are shown to their end.
  func show(_ out: inout RenderedText, isFull: Bool) throws(MigrationError) {
    switch state {
    case .success(let state):
      var text = DeviceText(out: out, isFull: isFull)
      out = RenderedText()
      try text.show(state.fields, indent: 2)
      for part in state.described {
        text.out.line("  of these bytes, \(part.path) holds (\(part.type))")
        try text.show(part.value, indent: 4)
      }
      out = text.out
    case .failure(let error):
      out.line("  not decoded: \(error.spelled)")
      out.field("bytes", "\(body.count), SHA-256 \(Hex.encode(try SHA256.hash(body)))", indent: 2)
    }
  }
}

/// Decoded values as text.
///
/// A long value is cut, but never without a mark: its length and hash follow, so that two texts are equal
/// only where the values are.
private struct DeviceText {
  /// Column in which values begin.
  private static let column = 32
  /// Most columns of a value on one line.
  private static let lineLimit = 98 - column
  /// Most lines of a value that is not cut: the general registers of a vCPU are six.
  private static let uncutLines = 8

  var out: RenderedText
  let isFull: Bool

  mutating func show(_ value: JSON, indent: Int) throws(MigrationError) {
    if let elements = value.array { try show(elements, "", indent: indent) }
    for member in value.members ?? [] {
      switch member.value {
      case .object:
        out.line(String(repeating: " ", count: indent) + member.key)
        try show(member.value, indent: indent + 2)
      case .array(let elements): try show(elements, member.key, indent: indent)
      default: try show([member.value], member.key, indent: indent)
      }
    }
  }

  private mutating func show(
    _ elements: [JSON], _ key: String, indent: Int
  ) throws(MigrationError) {
    guard elements.allSatisfy({ $0.members == nil && $0.array == nil }) else {
      for (index, element) in elements.enumerated() {
        if element.members != nil {
          out.line(String(repeating: " ", count: indent) + "\(key)[\(index)]")
          try show(element, indent: indent + 2)
        } else {
          try show(element.array ?? [element], "\(key)[\(index)]", indent: indent)
        }
      }
      return
    }
    if elements.count == 1, let text = Self.quoted(elements[0]) {
      return out.field(key, text, width: Self.column, indent: indent)
    }
    try show(plain: elements, key, indent: indent)
  }

  /// Shows elements, or the bytes of one, with blanks between them.
  private mutating func show(
    plain elements: [JSON], _ key: String, indent: Int
  ) throws(MigrationError) {
    let words = Array(elements.map { Self.spelled($0) }.joined(separator: " ").utf8)
    let isCut = !isFull && words.count > Self.uncutLines * Self.lineLimit
    var start = 0
    repeat {
      let end = Self.lineEnd(in: words, from: start)
      let line = String(decoding: words[start..<end], as: UTF8.self)
      out.field(
        start == 0 ? key : "", line + (isCut ? " …" : ""), width: Self.column, indent: indent)
      start = end + 1
    } while start < words.count && !isCut
    guard isCut else { return }
    let bytes = elements.flatMap { Self.bytes(of: $0) }
    out.field(
      "", "\(Spelled.count(bytes.count, "byte")), SHA-256 \(Hex.encode(try SHA256.hash(bytes)))",
      width: Self.column, indent: indent)
  }

  /// The end of the line that begins at `start`: at the last blank that fits, or at the first one.
  private static func lineEnd(in words: [UInt8], from start: Int) -> Int {
    let blank = UInt8(ascii: " ")
    let limit = start + lineLimit
    guard words.count > limit else { return words.count }
    return words[start...limit].lastIndex(of: blank)
      ?? words[limit...].firstIndex(of: blank) ?? words.count
  }

  private static func spelled(_ value: JSON) -> String {
    value.string ?? value.bool.map { $0 ? "true" : "false" } ?? value.description
  }

  /// The bytes of a value as they are in the stream.
  private static func bytes(of value: JSON) -> [UInt8] {
    if let flag = value.bool { return [flag ? 1 : 0] }
    let text = spelled(value)
    let digits =
      text.hasPrefix("0x")
      ? String(text.dropFirst(2).prefix { $0 != " " }) : text.filter { $0 != " " }
    return Hex.decode(digits) ?? Array(text.utf8)
  }

  /// A text that fills a buffer up to zero bytes; nil for any other value.
  private static func quoted(_ value: JSON) -> String? {
    guard let text = value.string, !text.hasPrefix("0x"), text.utf8.count < 1024 else { return nil }
    let bytes = bytes(of: value)
    let words = bytes.prefix { 0x20...0x7E ~= $0 }
    let zeros = bytes.dropFirst(words.count)
    guard words.count > 2, !zeros.isEmpty, zeros.allSatisfy({ $0 == 0 }) else { return nil }
    return
      "\"\(String(decoding: words, as: UTF8.self))\" and \(Spelled.count(zeros.count, "zero byte"))"
  }
}
