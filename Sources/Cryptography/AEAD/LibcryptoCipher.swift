internal import CLibCrypto
internal import Errors

/// An algorithm that libcrypto has fetched, kept for the life of the process; immutable.
@safe private struct FetchedCipher: @unchecked Sendable {
  let pointer: OpaquePointer?

  private init(_ name: String) { unsafe pointer = EVP_CIPHER_fetch(nil, name, nil) }

  private static let aes128 = FetchedCipher("AES-128-GCM")
  private static let aes256 = FetchedCipher("AES-256-GCM")
  private static let chacha = FetchedCipher("ChaCha20-Poly1305")

  static func of(_ algorithm: AEADAlgorithm) -> FetchedCipher {
    switch algorithm {
    case .aes128GCM: aes128
    case .aes256GCM: aes256
    case .chacha20Poly1305: chacha
    }
  }
}

/// Owns one `EVP_CIPHER_CTX` with its key set. Freeing clears the key schedule.
@safe struct LibcryptoCipher: ~Copyable, @unchecked Sendable {
  private let pointer: OpaquePointer

  /// - Parameter key: as long as the algorithm's.
  init(_ algorithm: AEADAlgorithm, key: [UInt8], encrypting: Bool) throws(MigrationError) {
    guard let pointer = unsafe EVP_CIPHER_CTX_new() else { throw failure(of: "EVP_CIPHER_CTX_new") }
    // The key has the length that the algorithm reads.
    let status = unsafe EVP_CipherInit_ex2(
      pointer, FetchedCipher.of(algorithm).pointer, key, nil, encrypting ? 1 : 0, nil)
    guard status == 1 else {
      unsafe EVP_CIPHER_CTX_free(pointer)
      throw failure(of: "EVP_CipherInit_ex2")
    }
    unsafe self.pointer = pointer
  }

  deinit { unsafe EVP_CIPHER_CTX_free(pointer) }

  func seal(
    _ plaintext: UnsafeBufferPointer<UInt8>, nonce: AEADNonce,
    _ associatedData: UnsafeBufferPointer<UInt8>, into ciphertext: UnsafeMutablePointer<UInt8>,
    tag: UnsafeMutablePointer<UInt8>
  ) -> Bool {
    var written: Int32 = 0
    // The caller vouches for the regions; each is passed with its own length.
    return unsafe begin(nonce, associatedData)
      && (plaintext.isEmpty
        || EVP_EncryptUpdate(
          pointer, ciphertext, &written, plaintext.baseAddress, Int32(plaintext.count)) == 1)
      && EVP_EncryptFinal_ex(pointer, ciphertext, &written) == 1
      && EVP_CIPHER_CTX_ctrl(
        pointer, EVP_CTRL_AEAD_GET_TAG, Int32(AEADAlgorithm.tagSize), tag) == 1
  }

  func open(
    _ ciphertext: UnsafeBufferPointer<UInt8>, nonce: AEADNonce,
    _ associatedData: UnsafeBufferPointer<UInt8>, tag: UnsafeBufferPointer<UInt8>,
    into plaintext: UnsafeMutablePointer<UInt8>?
  ) -> Bool {
    var written: Int32 = 0
    var spare: UInt8 = 0
    // As above.
    return unsafe begin(nonce, associatedData)
      && (ciphertext.isEmpty
        || EVP_DecryptUpdate(
          pointer, plaintext, &written, ciphertext.baseAddress, Int32(ciphertext.count)) == 1)
      && EVP_CIPHER_CTX_ctrl(
        pointer, EVP_CTRL_AEAD_SET_TAG, Int32(AEADAlgorithm.tagSize),
        UnsafeMutableRawPointer(mutating: tag.baseAddress)) == 1
      && EVP_DecryptFinal_ex(pointer, &spare, &written) == 1
  }

  /// Sets the nonce and adds the associated data.
  private func begin(_ nonce: AEADNonce, _ data: UnsafeBufferPointer<UInt8>) -> Bool {
    var raw = nonce.raw
    // libcrypto reads the 12 bytes of the nonce.
    let started = unsafe withUnsafeBytes(of: &raw) { bytes in
      unsafe EVP_CipherInit_ex2(
        pointer, nil, nil, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), -1, nil)
    }
    var written: Int32 = 0
    guard started == 1 else { return false }
    if data.isEmpty { return true }
    return unsafe EVP_CipherUpdate(
      pointer, nil, &written, data.baseAddress, Int32(data.count)) == 1
  }
}
