package import Errors
internal import Wire

/// Keys and signatures on P-384, the curve of AMD's endorsement keys and of this protocol.
package enum P384 {
  /// A public key: a point of the curve.
  package struct PublicKey: Hashable, Sendable {
    /// Uncompressed: 04, X, Y; 97 bytes.
    package let bytes: [UInt8]

    /// - Throws: `OFFER-KEY` when `bytes` is not an uncompressed point of the curve.
    package init(_ bytes: [UInt8]) throws(MigrationError) {
      guard try CurveGroup(.p384).contains(bytes) else {
        throw MigrationError(
          .offerKey, "not a public key", expected: "an uncompressed point of P-384")
      }
      self.bytes = bytes
    }

    /// Whether `signature` is a signature by this key over `digest`, a SHA-384 digest; false when
    /// the digest does not have 48 bytes.
    package func verify(_ signature: Signature, digest: [UInt8]) throws(MigrationError) -> Bool {
      guard digest.count == SHA384.size else { return false }
      return try ECDSA.verify(
        digest: digest, r: signature.r, s: signature.s, point: bytes, on: .p384)
    }

    /// Whether `signature` is a signature by this key over the SHA-384 digest of `message`.
    package func verify(_ signature: Signature, message: [UInt8]) throws(MigrationError) -> Bool {
      try verify(signature, digest: SHA384.hash(message))
    }

    /// The same, but accepts only the lower of the two values of s that verify: so nobody without
    /// the private key can make a second valid signature from a first.
    package func verifyLowS(_ signature: Signature, message: [UInt8]) throws(MigrationError) -> Bool
    {
      guard try verify(signature, message: message) else { return false }
      return try signature.withLowS() == signature
    }
  }

  /// A private key. Copies share one storage, which is wiped when the last of them is freed.
  package struct PrivateKey: Sendable {
    private let storage: SecretBytes
    /// The public key that belongs to this key.
    package let publicKey: PublicKey

    /// - Parameter scalar: 48 bytes, most significant first, from 1 to the order minus 1.
    /// - Throws: `INSTANCE-SYNTAX` when the scalar is not such a number.
    package init(_ scalar: [UInt8]) throws(MigrationError) {
      let group = try CurveGroup(.p384)
      let refusal = MigrationError(.instanceSyntax, "not a private key of P-384")
      guard scalar.count == PrimeCurve.p384.scalarSize else { throw refusal }
      let number = try BigNumber(scalar)
      guard !number.isZero, number.isLess(than: try group.order()) else { throw refusal }
      storage = SecretBytes(scalar)
      publicKey = try PublicKey(group.multiplyGenerator(number))
    }

    /// The key that RFC 9180 derives from keying material: DeriveKeyPair of DHKEM(P-384).
    /// - Parameter keyingMaterial: at least 48 bytes of entropy.
    package init(deriving keyingMaterial: [UInt8]) throws(MigrationError) {
      // The only copy of the secret becomes the storage of the new key.
      try self.init(DHKEM.p384.deriveKeyPair(keyingMaterial).secret)
    }

    /// The scalar, 48 bytes. It is only for the instance file.
    package var scalar: [UInt8] { storage.bytes }

    /// Signs `digest`, a SHA-384 digest of 48 bytes, deterministically.
    /// - Throws: `INTERNAL-CRYPTOGRAPHY` when the digest has another length.
    package func sign(digest: [UInt8]) throws(MigrationError) -> Signature {
      guard digest.count == SHA384.size else {
        throw MigrationError(.cryptography, "digest has a wrong length")
      }
      let (r, s) = try ECDSA.sign(
        digest: digest, scalar: storage.bytes, on: .p384, using: .sha384)
      return try Signature(r: r, s: s)
    }

    /// Signs the SHA-384 digest of `message`.
    package func sign(message: [UInt8]) throws(MigrationError) -> Signature {
      try sign(digest: SHA384.hash(message))
    }

    /// Signs the SHA-384 digest of `message`, with the lower of the two values of s.
    package func signLowS(message: [UInt8]) throws(MigrationError) -> Signature {
      try sign(message: message).withLowS()
    }
  }

  /// A signature: two numbers of 48 bytes, most significant byte first.
  package struct Signature: Hashable, Sendable {
    package let r: [UInt8]
    package let s: [UInt8]

    /// - Throws: `REPORT-SIGNATURE` when a number has another length.
    package init(r: [UInt8], s: [UInt8]) throws(MigrationError) {
      guard r.count == 48, s.count == 48 else {
        throw MigrationError(.reportSignature, "signature has a wrong length")
      }
      self.r = r
      self.s = s
    }

    /// Makes a signature from r followed by s, 96 bytes; nil for any other length.
    package init?(raw: [UInt8]) {
      guard raw.count == 96 else { return nil }
      r = Array(raw[..<48])
      s = Array(raw[48...])
    }

    /// Makes a signature from a DER SEQUENCE of two INTEGERs; nil unless it is in the unique DER
    /// form.
    package init?(der: [UInt8]) {
      guard let (r, s) = DER.twoIntegers(der), r.count <= 48, s.count <= 48 else { return nil }
      self.r = [UInt8](repeating: 0, count: 48 - r.count) + r
      self.s = [UInt8](repeating: 0, count: 48 - s.count) + s
    }

    /// The equivalent signature whose s is at most half the order. It verifies for the same digest
    /// and key.
    func withLowS() throws(MigrationError) -> Signature {
      let field = try ModularArithmetic(modulus: CurveGroup(.p384).order())
      let number = try BigNumber(s)
      let other = try field.negate(number)
      guard other.isLess(than: number) else { return self }
      return try Signature(r: r, s: other.bytes(s.count))
    }

    /// r followed by s: 96 bytes.
    package var raw: [UInt8] { r + s }

    /// The signature as a DER SEQUENCE of two INTEGERs, as `openssl dgst -verify` reads it.
    package var der: [UInt8] { DER.sequence(DER.integer(r) + DER.integer(s)) }
  }
}

extension P384.PrivateKey: CustomStringConvertible {
  /// A description that never contains the key.
  package var description: String { "P-384 private key" }
}
