import FoundationEssentials
import JSON
import TestSupport
import Wire

/// The rows of a file in `Fixtures/vectors-crypto`; its `README.md` says where they come from.
func vectors<Row: Decodable>(_ name: String, of _: Row.Type = Row.self) throws -> [Row] {
  let data = Data(try Fixture.read("vectors-crypto/\(name)"))
  return try JSONDecoder().decode([Row].self, from: data)
}

/// Bytes that a vector spells in hexadecimal.
struct HexBytes: Decodable, Sendable, CustomStringConvertible {
  let bytes: [UInt8]

  init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    guard let bytes = Hex.decode(try container.decode(String.self)) else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "not hexadecimal")
    }
    self.bytes = bytes
  }

  var description: String { Hex.encode(bytes) }
}

/// The bytes of a hexadecimal literal.
func hex(_ text: String) -> [UInt8] { Hex.decode(text) ?? [] }
