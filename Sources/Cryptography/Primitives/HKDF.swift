package import Errors

/// HKDF (RFC 5869): derives keys from keying material.
package enum HKDF {
  /// A pseudorandom key, as long as a digest (RFC 5869 section 2.2).
  ///
  /// - Parameter salt: an empty salt means as many zeros as a digest has bytes.
  /// - Throws: `INTERNAL-CRYPTOGRAPHY` when libcrypto fails.
  package static func extract(
    _ keyingMaterial: [UInt8], salt: [UInt8], using algorithm: DigestAlgorithm
  ) throws(MigrationError) -> [UInt8] {
    // Because of HMAC's padding an empty key and a key of zeros are the same key.
    try HMAC.authenticate(keyingMaterial, key: salt, using: algorithm)
  }

  /// `count` bytes of output (RFC 5869 section 2.3).
  ///
  /// - Parameters:
  ///   - pseudorandomKey: the result of `extract`, or a uniformly random key at least as long as a
  ///     digest.
  ///   - info: the purpose of the output.
  ///   - count: number of bytes, at most 255 times the length of a digest.
  /// - Throws: `INTERNAL-CRYPTOGRAPHY` when `count` is too large or libcrypto fails.
  package static func expand(
    _ pseudorandomKey: [UInt8], info: [UInt8], count: Int, using algorithm: DigestAlgorithm
  ) throws(MigrationError) -> [UInt8] {
    guard count >= 0, count <= 255 * algorithm.size else {
      throw MigrationError(
        .cryptography, "HKDF output is too long",
        expected: "at most \(255 * algorithm.size)", got: "\(count)")
    }
    var output: [UInt8] = []
    output.reserveCapacity(count)
    var block: [UInt8] = []
    var counter: UInt8 = 1
    defer { wipe(&block) }
    while output.count < count {
      var input = block + info + [counter]
      defer { wipe(&input) }
      wipe(&block)
      block = try HMAC.authenticate(input, key: pseudorandomKey, using: algorithm)
      output += block.prefix(count - output.count)
      counter &+= 1
    }
    return output
  }
}
