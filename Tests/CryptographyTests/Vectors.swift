import Bytes
import Cryptography
import Foundation
import Testing

/// One block of a file in `Fixtures/vectors-crypto`: lines `name = value`, most values in hex.
struct Vector: Sendable {
  var fields: [String: String] = [:]

  /// The field as written.
  func text(_ name: String) throws -> String {
    try #require(fields[name], "vector without \(name)")
  }

  /// The field's bytes.
  subscript(name: String) -> [UInt8] {
    get throws { try #require(Hex.decode(text(name)), "\(name) is not hex") }
  }

  /// The digest that the field `algorithm` names.
  var digest: DigestAlgorithm {
    get throws {
      switch try text("algorithm") {
      case "sha256": .sha256
      case "sha384": .sha384
      default: .sha512
      }
    }
  }
}

/// The vectors of a file; blocks are parted by empty lines, `#` begins a comment.
func vectors(_ name: String) throws -> [Vector] {
  var root = URL(filePath: #filePath)
  for _ in 0..<3 { root.deleteLastPathComponent() }
  let file = root.appending(path: "Fixtures/vectors-crypto/\(name)")
  let text = try String(contentsOf: file, encoding: .utf8)
  var found: [Vector] = []
  var current = Vector()
  for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
    if line.hasPrefix("#") { continue }
    let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    if parts.count == 2 {
      let key = parts[0].trimmingCharacters(in: .whitespaces)
      current.fields[key] = parts[1].trimmingCharacters(in: .whitespaces)
    } else if !current.fields.isEmpty {
      found.append(current)
      current = Vector()
    }
  }
  if !current.fields.isEmpty { found.append(current) }
  try #require(!found.isEmpty, "\(name) holds no vector")
  return found
}

extension Array where Element == UInt8 {
  /// The bytes with one bit turned over.
  func flipping(bit: Int) -> [UInt8] {
    var copy = self
    copy[bit / 8] ^= 1 << UInt8(bit % 8)
    return copy
  }
}

/// The private key a test needs; a refused scalar fails the test.
func privateKey<Curve: EllipticCurve>(
  _: Curve.Type, _ scalar: [UInt8]
) throws -> ECPrivateKey<Curve> {
  guard let key = try ECPrivateKey<Curve>(scalar: scalar) else {
    throw MigrationError(.internal, "the test's scalar is refused")
  }
  return key
}
