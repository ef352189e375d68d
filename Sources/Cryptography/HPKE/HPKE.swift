package import Errors
internal import Wire

/// Hybrid public-key encryption in base mode (RFC 9180).
///
/// OpenSSL has it only from 3.2 on; here it is built from primitives that every 3.x has, and tested
/// against the RFC's vectors and, for P-384, against another implementation.
package struct HPKE: Sendable, Hashable {
  /// The key encapsulation mechanism.
  package let kem: DHKEM
  /// The hash of HKDF in the key schedule.
  package let kdf: DigestAlgorithm
  /// The cipher for messages.
  package let aead: AEADAlgorithm

  /// DHKEM(P-384, HKDF-SHA384), HKDF-SHA384, AES-256-GCM: the suite of migrations.
  package static let migration = HPKE(kem: .p384, kdf: .sha384, aead: .aes256GCM)

  package init(kem: DHKEM, kdf: DigestAlgorithm, aead: AEADAlgorithm) {
    self.kem = kem
    self.kdf = kdf
    self.aead = aead
  }

  /// Begins a context for `recipient`, with an ephemeral key that is derived from `ephemeral`,
  /// which has at least as many random bytes as a scalar.
  /// - Throws: `OFFER-KEY` when `recipient` is not a public key.
  package func sender(
    to recipient: [UInt8], info: [UInt8], ephemeral: [UInt8]
  ) throws(MigrationError) -> (context: HPKEContext, encapsulatedKey: [UInt8]) {
    guard var shared = try kem.encapsulate(to: recipient, ephemeral: ephemeral) else {
      throw MigrationError(.offerKey, "not a public key of the suite")
    }
    defer { wipe(&shared.secret) }
    return (try HPKEContext(self, shared: shared.secret, info: info), shared.encapsulated)
  }

  /// Begins the same context as the sender of `encapsulatedKey`.
  /// - Parameters:
  ///   - secret: the recipient's private key.
  ///   - point: its public key.
  /// - Returns: nil when `encapsulatedKey` is not a public key.
  package func receiver(
    of encapsulatedKey: [UInt8], secret: [UInt8], point: [UInt8], info: [UInt8]
  ) throws(MigrationError) -> HPKEContext? {
    guard var shared = try kem.decapsulate(encapsulatedKey, secret: secret, point: point) else {
      return nil
    }
    defer { wipe(&shared) }
    return try HPKEContext(self, shared: shared, info: info)
  }

  var identifiers: [UInt8] {
    var bytes = Array("HPKE".utf8)
    bytes.append(bigEndian: kem.identifier)
    bytes.append(bigEndian: kdf == .sha256 ? UInt16(1) : kdf == .sha384 ? 2 : 3)
    bytes.append(bigEndian: aead == .aes128GCM ? UInt16(1) : aead == .aes256GCM ? 2 : 3)
    return bytes
  }
}

/// One HPKE context: messages in order under one key.
///
/// Each copy counts messages separately: sealing with two copies would use a nonce twice. Keep only
/// one.
package struct HPKEContext: Sendable {
  private let aead: AEADAlgorithm
  private let kdf: LabelledKDF
  private let key: SecretBytes
  private let baseNonce: [UInt8]
  private let exporter: SecretBytes
  private var sequence: UInt64 = 0

  /// The key schedule of RFC 9180 section 5.1, base mode.
  init(_ suite: HPKE, shared: [UInt8], info: [UInt8]) throws(MigrationError) {
    aead = suite.aead
    kdf = LabelledKDF(suite: suite.identifiers, hash: suite.kdf)
    let context =
      try [0] + kdf.extract(salt: [], "psk_id_hash", []) + kdf.extract(salt: [], "info_hash", info)
    var secret = try kdf.extract(salt: shared, "secret", [])
    defer { wipe(&secret) }
    key = SecretBytes(try kdf.expand(secret, "key", context, suite.aead.keySize))
    baseNonce = try kdf.expand(secret, "base_nonce", context, AEADAlgorithm.nonceSize)
    exporter = SecretBytes(try kdf.expand(secret, "exp", context, suite.kdf.size))
  }

  /// Encrypts the next message. The result is the ciphertext, followed by the 16-byte tag.
  package mutating func seal(
    _ plaintext: [UInt8], associatedData: [UInt8]
  ) throws(MigrationError) -> [UInt8] {
    var sealer = try AEADSealer(aead, key: key.bytes)
    let sealed = try sealer.seal(
      plaintext, nonce: nextNonce(), associatedData: associatedData)
    return sealed.ciphertext + sealed.tag
  }

  /// Decrypts the next message.
  /// - Returns: nil when the message does not authenticate; the message number is then unchanged.
  package mutating func open(
    _ message: [UInt8], associatedData: [UInt8]
  ) throws(MigrationError) -> [UInt8]? {
    guard message.count >= AEADAlgorithm.tagSize else { return nil }
    let before = sequence
    var opener = try AEADOpener(aead, key: key.bytes)
    let nonce = try nextNonce()
    let split = message.count - AEADAlgorithm.tagSize
    let span = message.span
    let plaintext = opener.open(
      span.extracting(first: split), nonce: nonce, associatedData: associatedData.span,
      tag: span.extracting(droppingFirst: split))
    if plaintext == nil { sequence = before }
    return plaintext
  }

  /// A secret for another use (RFC 9180 section 5.3).
  package func export(_ context: [UInt8], count: Int) throws(MigrationError) -> [UInt8] {
    try kdf.expand(exporter.bytes, "sec", context, count)
  }

  private mutating func nextNonce() throws(MigrationError) -> AEADNonce {
    guard sequence < .max, var nonce = AEADNonce(baseNonce) else {
      throw MigrationError(.cryptography, "message limit of an HPKE context is reached")
    }
    nonce.sequence ^= sequence
    sequence += 1
    return nonce
  }
}
