internal import CLibCrypto
package import Errors
internal import Wire

/// ECDSA, always deterministic (RFC 6979): the same key and digest give the same signature with any
/// version of OpenSSL, and a bad random number cannot reveal the key.
///
/// OpenSSL offers deterministic signatures only from 3.2 on. So the nonce and the two equations are
/// computed here, with libcrypto's arithmetic.
package enum ECDSA {
  /// Signs `digest` with `scalar`; the nonce comes from HMAC with the same hash.
  /// - Parameter scalar: `scalarSize` bytes, most significant first, from 1 to the order minus 1.
  /// - Returns: r and s, `scalarSize` bytes each, most significant byte first.
  /// - Throws: `INTERNAL-CRYPTOGRAPHY` when the scalar is out of range.
  package static func sign(
    digest: [UInt8], scalar: [UInt8], on curve: PrimeCurve, using hash: DigestAlgorithm
  ) throws(MigrationError) -> (r: [UInt8], s: [UInt8]) {
    let group = try CurveGroup(curve)
    let field = try ModularArithmetic(modulus: try group.order())
    let key = try BigNumber(scalar)
    guard scalar.count == curve.scalarSize, !key.isZero, key.isLess(than: field.modulus) else {
      throw MigrationError(.cryptography, "not a private key of the curve")
    }
    let message = try field.reduce(try truncate(digest, to: curve))
    var nonces = try NonceGenerator(
      scalar: scalar, message: try message.bytes(curve.scalarSize), hash: hash)
    while true {
      var candidate = try nonces.next(curve.scalarSize)
      let nonce = try truncate(candidate, to: curve)
      wipe(&candidate)
      guard !nonce.isZero, nonce.isLess(than: field.modulus) else { continue }
      let point = try group.multiplyGenerator(nonce)
      let r = try field.reduce(try BigNumber(Array(point[1...curve.scalarSize])))
      guard !r.isZero else { continue }
      let sum = try field.add(message, try field.multiply(r, key))
      let s = try field.multiply(try field.invert(nonce), sum)
      guard !s.isZero else { continue }
      return (try r.bytes(curve.scalarSize), try s.bytes(curve.scalarSize))
    }
  }

  /// Whether (r, s) is a signature of `digest` under `point`.
  /// - Parameters:
  ///   - r: `scalarSize` bytes, most significant first; so is `s`.
  ///   - point: uncompressed.
  package static func verify(
    digest: [UInt8], r: [UInt8], s: [UInt8], point: [UInt8], on curve: PrimeCurve
  ) throws(MigrationError) -> Bool {
    let group = try CurveGroup(curve)
    let order = try group.order()
    guard r.count == curve.scalarSize, s.count == curve.scalarSize else { return false }
    for half in [r, s] {
      let number = try BigNumber(half)
      guard !number.isZero, number.isLess(than: order) else { return false }
    }
    guard try group.contains(point), let key = EVPPublicKey(point, on: curve) else { return false }
    return key.verifies(DER.sequence(DER.integer(r) + DER.integer(s)), of: digest)
  }

  /// The leftmost bits of `bytes`, as many as the order has (RFC 6979 section 2.3.2, bits2int).
  private static func truncate(
    _ bytes: [UInt8], to curve: PrimeCurve
  ) throws(MigrationError) -> BigNumber {
    let number = try BigNumber(bytes)
    let excess = bytes.count * 8 - curve.orderBits
    if excess > 0 { try number.shiftRight(excess) }
    return number
  }
}

/// The nonces of RFC 6979 section 3.2: an HMAC generator seeded with key and message.
private struct NonceGenerator {
  private var key: [UInt8]
  private var value: [UInt8]
  private let hash: DigestAlgorithm
  private var isFirst = true

  init(scalar: [UInt8], message: [UInt8], hash: DigestAlgorithm) throws(MigrationError) {
    self.hash = hash
    value = [UInt8](repeating: 1, count: hash.size)
    key = [UInt8](repeating: 0, count: hash.size)
    for separator in [UInt8(0), 1] {
      var input = value + [separator] + scalar + message
      key = try HMAC.authenticate(input, key: key, using: hash)
      wipe(&input)
      value = try HMAC.authenticate(value, key: key, using: hash)
    }
  }

  /// The next candidate: output of the generator, truncated to `count` bytes.
  mutating func next(_ count: Int) throws(MigrationError) -> [UInt8] {
    if !isFirst {
      key = try HMAC.authenticate(value + [0], key: key, using: hash)
      value = try HMAC.authenticate(value, key: key, using: hash)
    }
    isFirst = false
    var output: [UInt8] = []
    while output.count < count {
      value = try HMAC.authenticate(value, key: key, using: hash)
      output += value
    }
    return Array(output.prefix(count))
  }
}

/// Owns one `EVP_PKEY` that was made from a public point.
@safe private struct EVPPublicKey: ~Copyable {
  private let pointer: OpaquePointer

  /// - Returns: nil when libcrypto does not accept the point.
  init?(_ point: [UInt8], on curve: PrimeCurve) {
    let info = DER.subjectPublicKeyInfo(point, on: curve)
    let pointer = unsafe info.withUnsafeBufferPointer { bytes in
      var next = bytes.baseAddress
      return unsafe d2i_PUBKEY(nil, &next, bytes.count)
    }
    guard let pointer = unsafe pointer else {
      ERR_clear_error()
      return nil
    }
    unsafe self.pointer = pointer
  }

  deinit { unsafe EVP_PKEY_free(pointer) }

  func verifies(_ signature: [UInt8], of digest: [UInt8]) -> Bool {
    guard let context = unsafe EVP_PKEY_CTX_new(pointer, nil) else { return false }
    defer { unsafe EVP_PKEY_CTX_free(context) }
    // Signature and digest are given with their own lengths.
    guard unsafe EVP_PKEY_verify_init(context) == 1 else { return false }
    let status = unsafe EVP_PKEY_verify(
      context, signature, signature.count, digest, digest.count)
    if status != 1 { ERR_clear_error() }
    return status == 1
  }
}
