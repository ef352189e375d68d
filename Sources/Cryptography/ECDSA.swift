public import Bytes

/// An ECDSA signature (FIPS 186-5 section 6.4). Any values of the right size can be held; `verify`
/// refuses those out of range.
public struct ECDSASignature<Curve: EllipticCurve>: Hashable, Sendable {
  /// Big-endian, 48 bytes for P-384.
  public let r: [UInt8]
  /// Big-endian, 48 bytes for P-384.
  public let s: [UInt8]

  /// - Returns: nil when a half has another size than the order.
  public init?(r: [UInt8], s: [UInt8]) {
    guard r.count == Curve.parameters.fieldSize, s.count == Curve.parameters.fieldSize else {
      return nil
    }
    (self.r, self.s) = (r, s)
  }

  /// - Parameter bytes: `r || s`, 96 bytes for P-384. Nil when it has another length.
  public init?(_ bytes: [UInt8]) {
    let size = Curve.parameters.fieldSize
    guard bytes.count == 2 * size else { return nil }
    self.init(r: Array(bytes[..<size]), s: Array(bytes[size...]))
  }

  /// `r || s`, 96 bytes for P-384.
  public var bytes: [UInt8] { r + s }
}

extension ECPublicKey {
  /// Whether `signature` is this key's over `digest` (FIPS 186-5 section 6.4.2).
  ///
  /// - Parameter digest: of the curve's size: SHA-384, 48 bytes, for P-384.
  /// - Throws: `INTERNAL-CRYPTOGRAPHY` when libcrypto fails, which no signature can cause.
  public func verify(
    _ signature: ECDSASignature<Curve>, digest: [UInt8]
  ) throws(MigrationError) -> Bool {
    guard digest.count == Curve.parameters.digest.size else { return false }
    let group = try CurveGroup.of(Curve.parameters)
    let r = try BigNumber(bigEndian: signature.r.span)
    let s = try BigNumber(bigEndian: signature.s.span)
    guard group.isValid(r), group.isValid(s), let point = try group.point(bytes) else {
      return false
    }
    let inverse = try group.inverse(s)
    let e = try group.reduced(group.scalar(fromBits: digest))
    let sum = try group.sum(
      base: group.product(e, inverse), point, times: group.product(r, inverse))
    guard let x = try group.x(of: sum) else { return false }
    return try group.reduced(x).bytes(Curve.parameters.fieldSize) == signature.r
  }

  /// Whether `signature` is this key's over the digest of `message`.
  ///
  /// - Throws: `INTERNAL-CRYPTOGRAPHY` when libcrypto fails, which no signature can cause.
  public func verify(
    _ signature: ECDSASignature<Curve>, message: [UInt8]
  ) throws(MigrationError) -> Bool {
    try verify(signature, digest: Curve.parameters.digest.hash(message))
  }
}

extension ECPrivateKey {
  /// Signs `digest` with the nonce of RFC 6979: the same key and digest always give the same
  /// signature, and no random number can give the key away.
  ///
  /// - Parameter digest: of the curve's size: SHA-384, 48 bytes, for P-384.
  /// - Throws: `INTERNAL-CRYPTOGRAPHY` when the digest has another size or libcrypto fails.
  public func sign(digest: [UInt8]) throws(MigrationError) -> ECDSASignature<Curve> {
    let size = Curve.parameters.fieldSize
    guard digest.count == Curve.parameters.digest.size else {
      throw MigrationError(
        .cryptography, "a digest of another size cannot be signed",
        expected: "\(Curve.parameters.digest.size) bytes", got: "\(digest.count) bytes")
    }
    let group = try CurveGroup.of(Curve.parameters)
    let e = try group.reduced(group.scalar(fromBits: digest))
    var nonces = try NonceGenerator(
      scalar: scalar, reducedDigest: e, group: group, parameters: Curve.parameters)
    defer { nonces.erase() }
    while true {
      let nonce = try nonces.next()
      guard let x = try group.x(of: group.basePoint(times: nonce)) else { continue }
      let r = try group.reduced(x)
      // s = (e + r * d) / k
      let s = try group.product(
        group.inverse(nonce), group.sum(e, group.product(r, scalar)))
      if !r.isZero, !s.isZero,
        let signature = try ECDSASignature<Curve>(r: r.bytes(size), s: s.bytes(size))
      {
        return signature
      }
    }
  }

  /// Signs the digest of `message`; see `sign(digest:)`.
  public func sign(message: [UInt8]) throws(MigrationError) -> ECDSASignature<Curve> {
    try sign(digest: Curve.parameters.digest.hash(message))
  }
}

/// The nonces of RFC 6979 section 3.2: an HMAC-DRBG seeded with the private key and the digest.
private struct NonceGenerator: ~Copyable {
  private var key: [UInt8]
  private var value: [UInt8]
  private var used = false
  private let group: CurveGroup
  private let parameters: CurveParameters

  /// Steps a to g.
  init(
    scalar: borrowing BigNumber, reducedDigest: borrowing BigNumber, group: CurveGroup,
    parameters: CurveParameters
  ) throws(MigrationError) {
    self.group = group
    self.parameters = parameters
    key = [UInt8](repeating: 0, count: parameters.digest.size)
    value = [UInt8](repeating: 1, count: parameters.digest.size)
    var octets = try scalar.bytes(parameters.fieldSize)
    defer { wipe(&octets) }
    var seed = try octets + reducedDigest.bytes(parameters.fieldSize)
    defer { wipe(&seed) }
    try update(0, seed)
    try update(1, seed)
  }

  /// Wipes the state. No nonce can be had afterwards.
  mutating func erase() {
    wipe(&key)
    wipe(&value)
  }

  /// Step h: the next candidate in range.
  mutating func next() throws(MigrationError) -> BigNumber {
    while true {
      if used { try update(0, []) }
      used = true
      var bits: [UInt8] = []
      defer { wipe(&bits) }
      bits.reserveCapacity(parameters.fieldSize + parameters.digest.size)
      while bits.count < parameters.fieldSize {
        value = try HMAC.authenticate(value, key: key, using: parameters.digest)
        bits += value
      }
      bits.removeLast(bits.count - parameters.fieldSize)
      let candidate = try group.scalar(fromBits: bits)
      if group.isValid(candidate) { return candidate }
    }
  }

  private mutating func update(_ step: UInt8, _ seed: [UInt8]) throws(MigrationError) {
    var input = value + [step] + seed
    defer { wipe(&input) }
    var old = key
    defer { wipe(&old) }
    key = try HMAC.authenticate(input, key: old, using: parameters.digest)
    value = try HMAC.authenticate(value, key: key, using: parameters.digest)
  }
}
