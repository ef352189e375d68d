internal import Wire

// The forms in which the tools print values that have none of their own in JSON.
extension JSON {
  /// A 64-bit address or bit field as hex text, since readers in other languages lose bits of large
  /// numbers.
  package static func hex(_ value: some BinaryInteger) -> JSON { .string(Hex.number(value)) }

  /// Bytes as hex digits.
  package static func hex(bytes: some Sequence<UInt8>) -> JSON { .string(Hex.encode(bytes)) }

  package static func text(_ names: [String]) -> JSON { .array(names.map { .string($0) }) }
}
