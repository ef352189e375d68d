internal import CLibGCrypt
internal import Errors
internal import Glibc

/// A library that encrypts and decrypts. What it makes does not depend on which one it is.
package enum AEADEngine: String, Sendable, CaseIterable {
  /// OpenSSL's, for every algorithm.
  case libcrypto
  /// GnuPG's, for AES with GCM; anything else is libcrypto's.
  case libgcrypt

  /// The faster one on this processor, unless the environment variable `SVSM_MIG_AES` names one.
  ///
  /// OpenSSL 3.0 uses AES instructions on wide registers only where these have 512 bits. Where they have 256,
  /// libgcrypt is nearly twice as fast.
  package static let preferred: AEADEngine = {
    // The environment's string is read before anything can change it.
    let named = unsafe getenv("SVSM_MIG_AES").flatMap {
      unsafe AEADEngine(rawValue: String(cString: $0))
    }
    return named ?? (has_vaes_without_avx512() ? .libgcrypt : .libcrypto)
  }()
}

/// One key, set in the library that uses it.
///
/// It is not private, because a private type that is stored in a public one breaks optimised builds
/// of other modules (Swift 6.3.1 fails with "Global is external").
enum CipherContext: ~Copyable, Sendable {
  case libcrypto(LibcryptoCipher)
  case libgcrypt(LibgcryptCipher)

  init(
    _ algorithm: AEADAlgorithm, key: [UInt8], encrypting: Bool, _ engine: AEADEngine
  ) throws(MigrationError) {
    guard key.count == algorithm.keySize else {
      throw MigrationError(.cryptography, "key has a wrong length")
    }
    if engine == .libgcrypt, algorithm != .chacha20Poly1305 {
      self = .libgcrypt(try LibgcryptCipher(algorithm, key: key))
    } else {
      self = .libcrypto(try LibcryptoCipher(algorithm, key: key, encrypting: encrypting))
    }
  }

  /// Encrypts into `ciphertext`, which has room for as many bytes as the plaintext has, and writes the 16 bytes
  /// of the tag. Each region is read with its own length, at most `Int32.max`.
  func seal(
    _ plaintext: UnsafeBufferPointer<UInt8>, nonce: AEADNonce,
    _ associatedData: UnsafeBufferPointer<UInt8>, into ciphertext: UnsafeMutablePointer<UInt8>,
    tag: UnsafeMutablePointer<UInt8>
  ) -> Bool {
    switch self {
    case .libcrypto(let cipher):
      unsafe cipher.seal(plaintext, nonce: nonce, associatedData, into: ciphertext, tag: tag)
    case .libgcrypt(let cipher):
      unsafe cipher.seal(plaintext, nonce: nonce, associatedData, into: ciphertext, tag: tag)
    }
  }

  /// Decrypts into `plaintext`, which has room for as many bytes as the ciphertext has and is nil only when
  /// there are none, and checks the 16 bytes of the tag. Each region is read with its own length, at most
  /// `Int32.max`.
  func open(
    _ ciphertext: UnsafeBufferPointer<UInt8>, nonce: AEADNonce,
    _ associatedData: UnsafeBufferPointer<UInt8>, tag: UnsafeBufferPointer<UInt8>,
    into plaintext: UnsafeMutablePointer<UInt8>?
  ) -> Bool {
    switch self {
    case .libcrypto(let cipher):
      unsafe cipher.open(ciphertext, nonce: nonce, associatedData, tag: tag, into: plaintext)
    case .libgcrypt(let cipher):
      unsafe cipher.open(ciphertext, nonce: nonce, associatedData, tag: tag, into: plaintext)
    }
  }
}
