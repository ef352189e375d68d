internal import CLibCrypto
package import Errors
internal import Wire

/// Diffie-Hellman key encapsulation (RFC 9180 section 4.1). There is one value for each registered
/// group.
package struct DHKEM: Sendable, Hashable {
  enum Group: Sendable, Hashable {
    case prime(PrimeCurve)
    case x25519
  }

  /// The identifier of RFC 9180 section 7.1.
  package let identifier: UInt16
  let group: Group
  let hash: DigestAlgorithm

  /// DHKEM(P-256, HKDF-SHA256).
  package static let p256 = DHKEM(identifier: 0x0010, group: .prime(.p256), hash: .sha256)
  /// DHKEM(P-384, HKDF-SHA384), which migrations use.
  package static let p384 = DHKEM(identifier: 0x0011, group: .prime(.p384), hash: .sha384)
  /// DHKEM(P-521, HKDF-SHA512).
  package static let p521 = DHKEM(identifier: 0x0012, group: .prime(.p521), hash: .sha512)
  /// DHKEM(X25519, HKDF-SHA256).
  package static let x25519 = DHKEM(identifier: 0x0020, group: .x25519, hash: .sha256)

  private var suite: [UInt8] {
    Array("KEM".utf8) + [UInt8(identifier >> 8), UInt8(identifier & 0xFF)]
  }

  /// Derives a key pair from keying material (section 7.1.3).
  package func deriveKeyPair(
    _ keyingMaterial: [UInt8]
  ) throws(MigrationError) -> (secret: [UInt8], point: [UInt8]) {
    let kdf = LabelledKDF(suite: suite, hash: hash)
    var prk = try kdf.extract(salt: [], "dkp_prk", keyingMaterial)
    defer { wipe(&prk) }
    guard case .prime(let curve) = group else {
      let secret = try kdf.expand(prk, "sk", [], 32)
      return (secret, try X25519.publicKey(of: secret))
    }
    let nist = try CurveGroup(curve)
    let order = try nist.order()
    for counter in UInt8.min...UInt8.max {
      var candidate = try kdf.expand(prk, "candidate", [counter], curve.scalarSize)
      if curve == .p521 { candidate[0] &= 1 }
      let scalar = try BigNumber(candidate)
      if !scalar.isZero, scalar.isLess(than: order) {
        return (candidate, try nist.multiplyGenerator(scalar))
      }
    }
    throw MigrationError(.cryptography, "no key can be derived from this material")
  }

  /// Makes a shared secret for `recipient` (section 4.1, Encap), with an ephemeral key that is
  /// derived from `ephemeral`.
  /// - Returns: nil when `recipient` is not a public key.
  func encapsulate(
    to recipient: [UInt8], ephemeral: [UInt8]
  ) throws(MigrationError) -> (secret: [UInt8], encapsulated: [UInt8])? {
    var pair = try deriveKeyPair(ephemeral)
    defer { wipe(&pair.secret) }
    guard var shared = try agree(pair.secret, with: recipient) else { return nil }
    defer { wipe(&shared) }
    return (try secret(shared, context: pair.point + recipient), pair.point)
  }

  /// Recovers the shared secret (section 4.1, Decap).
  /// - Returns: nil when `encapsulated` is not a public key.
  func decapsulate(
    _ encapsulated: [UInt8], secret key: [UInt8], point: [UInt8]
  ) throws(MigrationError) -> [UInt8]? {
    guard var shared = try agree(key, with: encapsulated) else { return nil }
    defer { wipe(&shared) }
    return try secret(shared, context: encapsulated + point)
  }

  private func secret(_ shared: [UInt8], context: [UInt8]) throws(MigrationError) -> [UInt8] {
    let kdf = LabelledKDF(suite: suite, hash: hash)
    var prk = try kdf.extract(salt: [], "eae_prk", shared)
    defer { wipe(&prk) }
    return try kdf.expand(prk, "shared_secret", context, hash.size)
  }

  /// The Diffie-Hellman value: the x coordinate of `secret` times `point`.
  /// - Returns: nil when `point` is not a public key.
  package func agree(
    _ secret: [UInt8], with point: [UInt8]
  ) throws(MigrationError) -> [UInt8]? {
    guard case .prime(let curve) = group else {
      return try X25519.agree(secret, with: point)
    }
    guard var product = try CurveGroup(curve).multiply(point, by: try BigNumber(secret)) else {
      return nil
    }
    defer { wipe(&product) }
    return Array(product[1...curve.scalarSize])
  }
}

/// HKDF with the labels of RFC 9180 section 4.
struct LabelledKDF {
  let suite: [UInt8]
  let hash: DigestAlgorithm

  func extract(
    salt: [UInt8], _ label: String, _ material: [UInt8]
  ) throws(MigrationError) -> [UInt8] {
    var input = Array("HPKE-v1".utf8) + suite + Array(label.utf8) + material
    defer { wipe(&input) }
    return try HKDF.extract(input, salt: salt, using: hash)
  }

  func expand(
    _ prk: [UInt8], _ label: String, _ info: [UInt8], _ count: Int
  ) throws(MigrationError) -> [UInt8] {
    let length = [UInt8(truncatingIfNeeded: count >> 8), UInt8(truncatingIfNeeded: count)]
    return try HKDF.expand(
      prk, info: length + Array("HPKE-v1".utf8) + suite + Array(label.utf8) + info, count: count,
      using: hash)
  }
}

/// X25519 (RFC 7748), for the published HPKE vectors that use it.
enum X25519 {
  static func publicKey(of secret: [UInt8]) throws(MigrationError) -> [UInt8] {
    let key = try RawKey(secret: secret)
    var point = [UInt8](repeating: 0, count: 32)
    var count = point.count
    try check(
      unsafe EVP_PKEY_get_raw_public_key(key.pointer, &point, &count), "EVP_PKEY_get_raw_public_key"
    )
    return point
  }

  /// - Returns: nil when the shared secret would be all zero (RFC 7748 section 6.1).
  static func agree(_ secret: [UInt8], with point: [UInt8]) throws(MigrationError) -> [UInt8]? {
    guard point.count == 32 else { return nil }
    let key = try RawKey(secret: secret)
    let peer = try RawKey(point: point)
    guard let context = unsafe EVP_PKEY_CTX_new(key.pointer, nil) else {
      throw failure(of: "EVP_PKEY_CTX_new")
    }
    defer { unsafe EVP_PKEY_CTX_free(context) }
    var shared = [UInt8](repeating: 0, count: 32)
    var count = shared.count
    // The secret has 32 bytes, which fit into `shared`.
    let status =
      unsafe EVP_PKEY_derive_init(context) == 1
      && EVP_PKEY_derive_set_peer(context, peer.pointer) == 1
      && EVP_PKEY_derive(context, &shared, &count) == 1
    guard status else {
      ERR_clear_error()
      return nil
    }
    return shared
  }

  /// Owns one `EVP_PKEY` that was made from raw bytes.
  @safe private struct RawKey: ~Copyable {
    let pointer: OpaquePointer

    init(secret: [UInt8]) throws(MigrationError) {
      // Reads `count` bytes of the key and copies them.
      guard
        let pointer = unsafe EVP_PKEY_new_raw_private_key(
          EVP_PKEY_X25519, nil, secret, secret.count)
      else { throw failure(of: "EVP_PKEY_new_raw_private_key") }
      unsafe self.pointer = pointer
    }

    init(point: [UInt8]) throws(MigrationError) {
      guard
        let pointer = unsafe EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, nil, point, point.count)
      else { throw failure(of: "EVP_PKEY_new_raw_public_key") }
      unsafe self.pointer = pointer
    }

    deinit { unsafe EVP_PKEY_free(pointer) }
  }
}
