package import Errors
internal import Wire

/// Reads a JSON text from its first byte to its last, value by value, so that what the caller passes over
/// takes no memory. `JSON(parsing:)` reads whole texts.
///
/// Its stack is bounded by the limit of depth.
package struct JSONReader: ~Escapable {
  /// An array or object that has been entered.
  package struct Container {
    fileprivate let end: UInt8
    fileprivate var isEmpty = true
  }

  /// A place in the text to which a reader can return.
  package struct Place {
    fileprivate let next: Int
    fileprivate let depth: Int
  }

  private let bytes: Span<UInt8>
  private let base: UInt64
  private let depthLimit: Int
  private let valueLimit: Int
  private var next = 0
  private var depth = 0
  private var values = 0

  /// - Parameters:
  ///   - bytes: UTF-8.
  ///   - base: offset in the stream or file of the first byte.
  ///   - depthLimit: largest nesting depth of arrays and objects.
  ///   - valueLimit: largest number of values that are returned.
  @_lifetime(copy bytes)
  package init(
    _ bytes: Span<UInt8>, at base: UInt64 = 0, depthLimit: Int = JSON.depthLimit,
    valueLimit: Int = JSON.valueLimit
  ) {
    (self.bytes, self.base) = (bytes, base)
    (self.depthLimit, self.valueLimit) = (depthLimit, valueLimit)
  }

  /// Offset in the stream or file of the next byte.
  package var offset: UInt64 { base &+ UInt64(next) }

  package var place: Place { Place(next: next, depth: depth) }

  /// Returns to a place where this reader was.
  package mutating func go(to place: Place) { (next, depth) = (place.next, place.depth) }

  /// Requires that the text ends here, but for white space.
  /// - Throws: `JSON-SYNTAX`.
  package mutating func end() throws(MigrationError) {
    skipSpace()
    guard next == bytes.count else { throw refused("text after the value") }
  }

  // MARK: Values

  /// Reads the next value with all that is in it.
  /// - Throws: `JSON-SYNTAX`.
  package mutating func value() throws(MigrationError) -> JSON {
    let first = try begin()
    guard values < valueLimit else { throw refused("too many values") }
    values += 1
    switch first {
    case UInt8(ascii: "{"):
      var object = try enter()
      var members: [JSON.Member] = []
      while let key = try key(in: &object) { members.append(JSON.Member(key, try value())) }
      return .object(members)
    case UInt8(ascii: "["):
      var array = try enter()
      var elements: [JSON] = []
      while try hasElement(in: &array) { elements.append(try value()) }
      return .array(elements)
    default: return try leaf(first)
    }
  }

  /// Reads the next value, which has no values in it.
  private mutating func leaf(_ first: UInt8) throws(MigrationError) -> JSON {
    switch first {
    case UInt8(ascii: "\""): .string(try string())
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): try number()
    case UInt8(ascii: "t"): try word("true", .bool(true))
    case UInt8(ascii: "f"): try word("false", .bool(false))
    case UInt8(ascii: "n"): try word("null", .null)
    default: throw refused("not the start of a value")
    }
  }

  /// Reads the next value if it is neither an array nor an object; passes over one of those and returns nil.
  /// - Throws: `JSON-SYNTAX`.
  package mutating func simple() throws(MigrationError) -> JSON? {
    guard try !isObject(), try !isArray() else {
      try skip()
      return nil
    }
    return try value()
  }

  /// Passes over the next value.
  /// - Throws: `JSON-SYNTAX`.
  package mutating func skip() throws(MigrationError) {
    let first = try begin()
    switch first {
    case UInt8(ascii: "{"):
      var object = try enter()
      while try hasKey(in: &object) { try skip() }
    case UInt8(ascii: "["):
      var array = try enter()
      while try hasElement(in: &array) { try skip() }
    case UInt8(ascii: "\""): try skipString()
    default: _ = try leaf(first)
    }
  }

  /// Whether the next value is an object.
  /// - Throws: `JSON-SYNTAX` when there is no next value.
  package mutating func isObject() throws(MigrationError) -> Bool {
    try begin() == UInt8(ascii: "{")
  }

  /// Whether the next value is an array.
  /// - Throws: `JSON-SYNTAX` when there is no next value.
  package mutating func isArray() throws(MigrationError) -> Bool {
    try begin() == UInt8(ascii: "[")
  }

  /// The first byte of the next value.
  private mutating func begin() throws(MigrationError) -> UInt8 {
    skipSpace()
    guard let first = peek() else { throw refused("a value is missing") }
    return first
  }

  // MARK: Arrays and objects

  /// Enters the array or object that is the next value. Precondition: it is one.
  /// - Throws: `JSON-SYNTAX` when it is nested too deep.
  package mutating func enter() throws(MigrationError) -> Container {
    let isArray = try isArray()
    guard depth < depthLimit else { throw refused("nested deeper than \(depthLimit) levels") }
    depth += 1
    next += 1
    return Container(end: UInt8(ascii: isArray ? "]" : "}"))
  }

  /// Goes on to the next element of an array, which is the next value; leaves the array after the last one.
  /// - Throws: `JSON-SYNTAX`.
  package mutating func hasElement(in array: inout Container) throws(MigrationError) -> Bool {
    skipSpace()
    if array.isEmpty {
      array.isEmpty = false
      guard take(array.end) else { return true }
    } else if !take(array.end) {
      guard take(UInt8(ascii: ",")) else {
        throw refused("',' or '\(Unicode.Scalar(array.end))' is missing")
      }
      return true
    }
    depth -= 1
    return false
  }

  /// Goes on to the next member of an object, whose value is the next one; leaves the object after the last.
  /// - Returns: its key, nil after the last.
  /// - Throws: `JSON-SYNTAX`.
  package mutating func key(in object: inout Container) throws(MigrationError) -> String? {
    guard try isAtKey(in: &object) else { return nil }
    let key = try string()
    try takeColon()
    return key
  }

  private mutating func hasKey(in object: inout Container) throws(MigrationError) -> Bool {
    guard try isAtKey(in: &object) else { return false }
    try skipString()
    try takeColon()
    return true
  }

  private mutating func isAtKey(in object: inout Container) throws(MigrationError) -> Bool {
    guard try hasElement(in: &object) else { return false }
    skipSpace()
    guard peek() == UInt8(ascii: "\"") else { throw refused("a key is missing") }
    return true
  }

  private mutating func takeColon() throws(MigrationError) {
    skipSpace()
    guard take(UInt8(ascii: ":")) else { throw refused("':' is missing") }
  }

  // MARK: Words and numbers

  private mutating func word(_ text: String, _ value: JSON) throws(MigrationError) -> JSON {
    let start = next
    for character in text.utf8 {
      guard take(character) else {
        next = start
        throw refused("not the start of a value")
      }
    }
    return value
  }

  private mutating func number() throws(MigrationError) -> JSON {
    let start = next
    let isNegative = take(UInt8(ascii: "-"))
    if !take(UInt8(ascii: "0")) { try digits() }
    var isInteger = true
    if take(UInt8(ascii: ".")) {
      isInteger = false
      try digits()
    }
    if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
      isInteger = false
      if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
      try digits()
    }
    let text = try Self.text(bytes.extracting(start..<next), at: base &+ UInt64(start))
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

  // MARK: Strings

  private mutating func string() throws(MigrationError) -> String {
    let start = next
    let plain = passPlain()
    if take(UInt8(ascii: "\"")) {
      return try Self.text(bytes.extracting(plain), at: base &+ UInt64(start))
    }
    var text = Array(copying: bytes.extracting(plain))
    while let byte = peek() {
      switch byte {
      case UInt8(ascii: "\""):
        next += 1
        return try Self.text(text.span, at: base &+ UInt64(start))
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

  private mutating func skipString() throws(MigrationError) {
    let start = next
    let plain = passPlain()
    guard take(UInt8(ascii: "\"")) else {
      next = start
      _ = try string()
      return
    }
    guard (try? UTF8Span(validating: bytes.extracting(plain))) != nil else {
      next = start
      throw refused("string is not UTF-8")
    }
  }

  /// Passes over the first quotation mark, and what follows it up to an escape or the end.
  /// - Returns: the range after the mark.
  private mutating func passPlain() -> Range<Int> {
    next += 1
    let start = next
    while let byte = peek(), byte >= 0x20, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") {
      next += 1
    }
    return start..<next
  }

  private static func text(
    _ bytes: Span<UInt8>, at offset: UInt64
  ) throws(MigrationError) -> String {
    guard let valid = try? UTF8Span(validating: bytes) else {
      throw MigrationError(.json, "string is not UTF-8", at: offset)
    }
    let text = String(copying: valid)
    guard valid.isKnownASCII || text.isStreamSafe else {
      throw MigrationError(
        .json, "string has more than 30 combining marks in a row", at: offset)
    }
    return text
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
      if 0xD800..<0xDC00 ~= code, take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) {
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

  // MARK: Bytes

  private func peek() -> UInt8? { next < bytes.count ? bytes[next] : nil }

  private mutating func take(_ byte: UInt8) -> Bool {
    guard peek() == byte else { return false }
    next += 1
    return true
  }

  private mutating func skipSpace() {
    while let byte = peek(), byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 {
      next += 1
    }
  }

  private func refused(_ what: String) -> MigrationError {
    MigrationError(.json, what, at: offset)
  }
}
