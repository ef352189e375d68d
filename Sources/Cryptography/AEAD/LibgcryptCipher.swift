internal import CLibGCrypt
internal import Errors

/// Owns one cipher handle of libgcrypt with its key set, for AES with GCM. Closing it clears the key schedule.
@safe struct LibgcryptCipher: ~Copyable, @unchecked Sendable {
  /// Whether the library is ready; it is initialised once for the process.
  private static let isReady = libgcrypt_begin()

  private let handle: OpaquePointer

  /// - Parameter key: as long as the algorithm's.
  init(_ algorithm: AEADAlgorithm, key: [UInt8]) throws(MigrationError) {
    let cipher = algorithm == .aes128GCM ? GCRY_CIPHER_AES : GCRY_CIPHER_AES256
    var opened: OpaquePointer?
    guard Self.isReady,
      unsafe gcry_cipher_open(
        &opened, Int32(cipher.rawValue), Int32(GCRY_CIPHER_MODE_GCM.rawValue), 0) == 0,
      let opened = unsafe opened
    else { throw MigrationError(.cryptography, "libgcrypt refused gcry_cipher_open") }
    // The key is read with its own length.
    guard unsafe gcry_cipher_setkey(opened, key, key.count) == 0 else {
      unsafe gcry_cipher_close(opened)
      throw MigrationError(.cryptography, "libgcrypt refused gcry_cipher_setkey")
    }
    unsafe handle = opened
  }

  deinit { unsafe gcry_cipher_close(handle) }

  func seal(
    _ plaintext: UnsafeBufferPointer<UInt8>, nonce: AEADNonce,
    _ associatedData: UnsafeBufferPointer<UInt8>, into ciphertext: UnsafeMutablePointer<UInt8>,
    tag: UnsafeMutablePointer<UInt8>
  ) -> Bool {
    // The caller vouches for the regions; each is passed with its own length.
    unsafe begin(nonce, associatedData)
      && (plaintext.isEmpty
        || gcry_cipher_encrypt(
          handle, ciphertext, plaintext.count, plaintext.baseAddress, plaintext.count) == 0)
      && gcry_cipher_gettag(handle, tag, AEADAlgorithm.tagSize) == 0
  }

  func open(
    _ ciphertext: UnsafeBufferPointer<UInt8>, nonce: AEADNonce,
    _ associatedData: UnsafeBufferPointer<UInt8>, tag: UnsafeBufferPointer<UInt8>,
    into plaintext: UnsafeMutablePointer<UInt8>?
  ) -> Bool {
    // As above.
    unsafe begin(nonce, associatedData)
      && (ciphertext.isEmpty
        || gcry_cipher_decrypt(
          handle, plaintext, ciphertext.count, ciphertext.baseAddress, ciphertext.count) == 0)
      && gcry_cipher_checktag(handle, tag.baseAddress, tag.count) == 0
  }

  /// Sets the nonce and adds the associated data.
  private func begin(_ nonce: AEADNonce, _ data: UnsafeBufferPointer<UInt8>) -> Bool {
    var raw = nonce.raw
    // libgcrypt reads the 12 bytes of the nonce.
    let started = unsafe withUnsafeBytes(of: &raw) { bytes in
      unsafe gcry_cipher_setiv(handle, bytes.baseAddress, bytes.count)
    }
    guard started == 0 else { return false }
    return unsafe data.isEmpty
      || gcry_cipher_authenticate(handle, data.baseAddress, data.count) == 0
  }
}
