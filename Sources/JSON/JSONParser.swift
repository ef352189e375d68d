package import Errors

extension JSON {
  /// Largest number of values in one text, nested ones included: each value takes about ten times
  /// as much memory as its text.
  package static let valueLimit = 3 << 18
  /// Largest nesting depth of arrays and objects.
  package static let depthLimit = 64

  /// Parses one JSON text, which may have white space around it.
  /// - Parameters:
  ///   - bytes: UTF-8.
  ///   - base: offset in the stream or file of the first byte, for errors.
  ///   - depthLimit, valueLimit: other limits, for a text from a trusted source.
  /// - Throws: `JSON-SYNTAX` at the first byte that is not JSON, not UTF-8, nested too deep, or
  ///   part of a value beyond `valueLimit`.
  package init(
    parsing bytes: [UInt8], at base: UInt64 = 0, depthLimit: Int = JSON.depthLimit,
    valueLimit: Int = JSON.valueLimit
  ) throws(MigrationError) {
    var parser = JSONParser(
      bytes: bytes, base: base, depthLimit: depthLimit, valueLimit: valueLimit)
    self = try parser.document()
  }

  /// Parses one JSON text.
  /// - Throws: `JSON-SYNTAX`.
  package init(parsing text: String) throws(MigrationError) {
    try self.init(parsing: Array(text.utf8))
  }
}

/// A recursive descent parser; its memory is bounded by the size of the input, its stack by
/// `depthLimit`.
private struct JSONParser {
  let bytes: [UInt8]
  let base: UInt64
  let depthLimit: Int
  let valueLimit: Int
  var next = 0
  var depth = 0
  var values = 0

  mutating func document() throws(MigrationError) -> JSON {
    let value = try self.value()
    skipSpace()
    guard next == bytes.count else { throw refused("text after the value") }
    return value
  }

  private mutating func value() throws(MigrationError) -> JSON {
    skipSpace()
    guard let first = peek() else { throw refused("a value is missing") }
    guard values < valueLimit else { throw refused("too many values") }
    values += 1
    switch first {
    case UInt8(ascii: "{"):
      return try nested { parser throws(MigrationError) in
        try parser.object()
      }
    case UInt8(ascii: "["):
      return try nested { parser throws(MigrationError) in
        try parser.array()
      }
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
    case UInt8(ascii: "t"): return try word("true", .bool(true))
    case UInt8(ascii: "f"): return try word("false", .bool(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    default: throw refused("not the start of a value")
    }
  }

  private mutating func nested(
    _ body: (inout JSONParser) throws(MigrationError) -> JSON
  ) throws(MigrationError) -> JSON {
    guard depth < depthLimit else { throw refused("nested deeper than \(depthLimit) levels") }
    depth += 1
    next += 1
    defer { depth -= 1 }
    return try body(&self)
  }

  private mutating func object() throws(MigrationError) -> JSON {
    var members: [JSON.Member] = []
    skipSpace()
    if take("}") { return .object(members) }
    while true {
      skipSpace()
      guard peek() == UInt8(ascii: "\"") else { throw refused("a key is missing") }
      let key = try string()
      skipSpace()
      guard take(":") else { throw refused("':' is missing") }
      members.append(JSON.Member(key, try value()))
      skipSpace()
      if take("}") { return .object(members) }
      guard take(",") else { throw refused("',' or '}' is missing") }
    }
  }

  private mutating func array() throws(MigrationError) -> JSON {
    var elements: [JSON] = []
    skipSpace()
    if take("]") { return .array(elements) }
    while true {
      elements.append(try value())
      skipSpace()
      if take("]") { return .array(elements) }
      guard take(",") else { throw refused("',' or ']' is missing") }
    }
  }

  private mutating func word(_ text: String, _ value: JSON) throws(MigrationError) -> JSON {
    let start = next
    for character in text.utf8 {
      guard peek() == character else {
        next = start
        throw refused("not the start of a value")
      }
      next += 1
    }
    return value
  }

  private mutating func number() throws(MigrationError) -> JSON {
    let start = next
    let isNegative = take("-")
    if !take("0") { try digits() }
    var isInteger = true
    if take(".") {
      isInteger = false
      try digits()
    }
    if take("e") || take("E") {
      isInteger = false
      if !take("+") { _ = take("-") }
      try digits()
    }
    let text = String(decoding: bytes[start..<next], as: UTF8.self)
    if isInteger {
      if !isNegative, let value = UInt64(text) { return .unsigned(value) }
      if isNegative, let value = Int64(text), value < 0 { return .negative(value) }
    }
    return .decimal(text)
  }

  private mutating func digits() throws(MigrationError) {
    let start = next
    while let digit = peek(), UInt8(ascii: "0")...UInt8(ascii: "9") ~= digit { next += 1 }
    guard next > start else { throw refused("a digit is missing") }
  }

  private mutating func string() throws(MigrationError) -> String {
    let start = next
    next += 1
    var text: [UInt8] = []
    while let byte = peek() {
      switch byte {
      case UInt8(ascii: "\""):
        next += 1
        guard let string = String(validating: text, as: UTF8.self) else {
          next = start
          throw refused("string is not UTF-8")
        }
        return string
      case UInt8(ascii: "\\"):
        try escape(into: &text)
      case 0..<0x20:
        throw refused("control character in a string")
      default:
        text.append(byte)
        next += 1
      }
    }
    throw refused("string does not end")
  }

  private mutating func escape(into text: inout [UInt8]) throws(MigrationError) {
    let start = next
    next += 1
    guard let kind = peek() else { throw refused("string does not end") }
    next += 1
    switch kind {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(kind)
    case UInt8(ascii: "b"): text.append(0x08)
    case UInt8(ascii: "f"): text.append(0x0C)
    case UInt8(ascii: "n"): text.append(0x0A)
    case UInt8(ascii: "r"): text.append(0x0D)
    case UInt8(ascii: "t"): text.append(0x09)
    case UInt8(ascii: "u"):
      var code = UInt32(try hexUnit())
      if 0xD800..<0xDC00 ~= code, take("\\"), take("u") {
        let low = UInt32(try hexUnit())
        guard 0xDC00..<0xE000 ~= low else {
          next = start
          throw refused("lone surrogate")
        }
        code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
      }
      guard let scalar = Unicode.Scalar(code) else {
        next = start
        throw refused("lone surrogate")
      }
      text.append(contentsOf: String(Character(scalar)).utf8)
    default:
      next = start
      throw refused("unknown escape")
    }
  }

  private mutating func hexUnit() throws(MigrationError) -> UInt16 {
    var value: UInt16 = 0
    for _ in 0..<4 {
      guard let byte = peek(), let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
        throw refused("four hex digits are needed")
      }
      value = value << 4 | UInt16(digit)
      next += 1
    }
    return value
  }

  private func peek() -> UInt8? { next < bytes.count ? bytes[next] : nil }

  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard peek() == UInt8(ascii: character) else { return false }
    next += 1
    return true
  }

  private mutating func skipSpace() {
    while let byte = peek(), byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 {
      next += 1
    }
  }

  private func refused(_ what: String) -> MigrationError {
    MigrationError(.json, what, at: base &+ UInt64(next))
  }
}
