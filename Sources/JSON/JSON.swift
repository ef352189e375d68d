/// A JSON value (RFC 8259) that preserves everything in QEMU's descriptions.
///
/// A library's type is not used because the order of keys is part of a VM description, QEMU may
/// repeat a key within one object (lists of more than one element), 64-bit integers must stay
/// exact, errors must give the byte, and text in golden files must not change with the version of a
/// toolchain.
package enum JSON: Hashable, Sendable {
  case null
  case bool(Bool)
  /// An integer from 0 to 2^64 - 1.
  case unsigned(UInt64)
  /// An integer from -2^63 to -1.
  case negative(Int64)
  /// Any other number, as written in the text: `1.5`, `-0`, `1e9`.
  case decimal(String)
  case string(String)
  case array([JSON])
  /// Members in the order of the text; a key may occur more than once.
  case object([Member])

  /// One key and its value.
  package struct Member: Hashable, Sendable {
    package var key: String
    package var value: JSON

    package init(_ key: String, _ value: JSON) {
      self.key = key
      self.value = value
    }

    /// Whether its key is `name`, byte for byte. Comparing strings is not enough, since canonically
    /// equivalent strings are equal in Swift: the kelvin sign equals a K.
    package func isNamed(_ name: String) -> Bool { key.utf8.elementsEqual(name.utf8) }
  }

  /// A key that equals another one only byte for byte, without a copy of its bytes.
  struct ExactKey: Hashable {
    let text: String

    static func == (key: ExactKey, other: ExactKey) -> Bool {
      key.text.utf8.elementsEqual(other.text.utf8)
    }

    /// By the bytes: any number of strings have one hash that differ in them alone.
    func hash(into hasher: inout Hasher) {
      for byte in text.utf8 { hasher.combine(byte) }
    }
  }
}

extension JSON {
  /// An integer that fits 64 bits, without loss.
  package init(_ value: some BinaryInteger) {
    if let value = UInt64(exactly: value) {
      self = .unsigned(value)
    } else if let value = Int64(exactly: value) {
      self = .negative(value)
    } else {
      self = .decimal(String(value))
    }
  }

  /// The first value with `key`; nil when there is none or this is not an object.
  package subscript(key: String) -> JSON? {
    members?.first { $0.isNamed(key) }?.value
  }

  /// All values with `key`, in order.
  package func values(under key: String) -> [JSON] {
    members?.filter { $0.isNamed(key) }.map(\.value) ?? []
  }

  /// A key that comes twice in one object, in this value or in any value inside it; nil when there
  /// is none.
  package var repeatedKey: String? {
    switch self {
    case .object(let members):
      var seen: Set<ExactKey> = []
      for member in members {
        if !seen.insert(ExactKey(text: member.key)).inserted { return member.key }
        if let key = member.value.repeatedKey { return key }
      }
      return nil
    case .array(let elements):
      for element in elements {
        if let key = element.repeatedKey { return key }
      }
      return nil
    default: return nil
    }
  }

  /// Keys and values of an object, nil for anything else.
  package var members: [Member]? {
    if case .object(let members) = self { members } else { nil }
  }

  /// Elements of an array, nil for anything else.
  package var array: [JSON]? {
    if case .array(let elements) = self { elements } else { nil }
  }

  /// A string, nil for anything else.
  package var string: String? {
    if case .string(let text) = self { text } else { nil }
  }

  /// `true` or `false`, nil for anything else.
  package var bool: Bool? {
    if case .bool(let flag) = self { flag } else { nil }
  }

  /// An integer from 0 to 2^64 - 1.
  package var uint: UInt64? {
    if case .unsigned(let value) = self { value } else { nil }
  }

  /// An integer that fits `Int`.
  package var int: Int? {
    switch self {
    case .unsigned(let value): Int(exactly: value)
    case .negative(let value): Int(exactly: value)
    default: nil
    }
  }

  /// Whether this is `null`.
  package var isNull: Bool { self == .null }
}

extension JSON: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral,
  ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral,
  ExpressibleByNilLiteral
{
  package init(stringLiteral value: String) { self = .string(value) }
  package init(integerLiteral value: Int64) { self.init(value) }
  package init(booleanLiteral value: Bool) { self = .bool(value) }
  package init(arrayLiteral elements: JSON...) { self = .array(elements) }
  package init(nilLiteral: ()) { self = .null }

  /// Members keep the order of the literal, and repeated keys.
  package init(dictionaryLiteral elements: (String, JSON)...) {
    self = .object(elements.map { Member($0.0, $0.1) })
  }
}
