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

    /// Whether `signature` is this key's over `digest`, a SHA-384 digest; false for another length
    /// than 48 bytes.
    package func verify(_ signature: Signature, digest: [UInt8]) throws(MigrationError) -> Bool {
      guard digest.count == SHA384.size else { return false }
      return try ECDSA.verify(
        digest: digest, r: signature.r, s: signature.s, point: bytes, on: .p384)
    }

    /// Whether `signature` is this key's over the SHA-384 digest of `message`.
    package func verify(_ signature: Signature, message: [UInt8]) throws(MigrationError) -> Bool {
      try verify(signature, digest: SHA384.hash(message))
    }

    /// The same, and of the two values of s that verify alike it takes the lower only: nobody without
    /// the private key can then make a second signature of a first.
    package func verifyLowS(_ signature: Signature, message: [UInt8]) throws(MigrationError) -> Bool
    {
      guard try verify(signature, message: message) else { return false }
      return try signature.withLowS() == signature
    }
  }

  /// A private key. Copies share one storage, which is wiped with the last of them.
  package struct PrivateKey: Sendable {
    private let storage: SecretBytes
    package let publicKey: PublicKey

    /// - Parameter scalar: 48 bytes, most significant first, from 1 to the order less 1.
    /// - Throws: `INSTANCE-SYNTAX` when it is not.
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
      // The secret's only copy becomes the storage of the new key.
      try self.init(DHKEM.p384.deriveKeyPair(keyingMaterial).secret)
    }

    /// The scalar, 48 bytes. For the instance file and for nothing else.
    package var scalar: [UInt8] { storage.bytes }

    /// Signs `digest`, a SHA-384 digest of 48 bytes, deterministically.
    /// - Throws: `INTERNAL-CRYPTOGRAPHY` when the digest has another length.
    package func sign(digest: [UInt8]) throws(MigrationError) -> Signature {
      guard digest.count == SHA384.size else {
        throw MigrationError(.cryptography, "digest has another length")
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
        throw MigrationError(.reportSignature, "signature has another length")
      }
      self.r = r
      self.s = s
    }

    /// r and s behind each other, 96 bytes; nil for another length.
    package init?(raw: [UInt8]) {
      guard raw.count == 96 else { return nil }
      r = Array(raw[..<48])
      s = Array(raw[48...])
    }

    /// The signature a DER SEQUENCE of two INTEGERs spells; nil unless it is in its only form.
    package init?(der: [UInt8]) {
      guard let (r, s) = DER.twoIntegers(der), r.count <= 48, s.count <= 48 else { return nil }
      self.r = [UInt8](repeating: 0, count: 48 - r.count) + r
      self.s = [UInt8](repeating: 0, count: 48 - s.count) + s
    }

    /// The signature of the same digest by the same key whose s is at most half the order. Of any two
    /// that differ only in the sign of s it is one.
    func withLowS() throws(MigrationError) -> Signature {
      let field = try ModularArithmetic(modulus: CurveGroup(.p384).order())
      let number = try BigNumber(s)
      let other = try field.negate(number)
      guard other.isLess(than: number) else { return self }
      return try Signature(r: r, s: other.bytes(s.count))
    }

    /// r and s behind each other: 96 bytes.
    package var raw: [UInt8] { r + s }

    /// As a DER SEQUENCE of two INTEGERs: what `openssl dgst -verify` takes.
    package var der: [UInt8] { DER.sequence(DER.integer(r) + DER.integer(s)) }
  }
}

extension P384.PrivateKey: CustomStringConvertible {
  /// Says what it is, never what it holds.
  package var description: String { "P-384 private key" }
}
