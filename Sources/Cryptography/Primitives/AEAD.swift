internal import CLibCrypto
package import Errors
internal import Wire

/// An authenticated cipher with a 12-byte nonce and a 16-byte tag.
package enum AEADAlgorithm: Sendable, CaseIterable {
  case aes128GCM
  case aes256GCM
  case chacha20Poly1305

  /// Bytes of a key.
  package var keySize: Int { self == .aes128GCM ? 16 : 32 }
  /// Bytes of a nonce.
  package static let nonceSize = 12
  /// Bytes of a tag.
  package static let tagSize = 16

  var libraryName: String {
    switch self {
    case .aes128GCM: "AES-128-GCM"
    case .aes256GCM: "AES-256-GCM"
    case .chacha20Poly1305: "ChaCha20-Poly1305"
    }
  }
}

/// A nonce: a 4-byte stream number, then an 8-byte sequence number, both big-endian.
package struct AEADNonce: Sendable, Hashable {
  /// First 4 bytes of the nonce, big-endian.
  package var stream: UInt32
  /// Last 8 bytes of the nonce, big-endian.
  package var sequence: UInt64

  package init(stream: UInt32 = 0, sequence: UInt64) {
    self.stream = stream
    self.sequence = sequence
  }

  /// - Returns: nil unless there are 12 bytes.
  package init?(_ bytes: [UInt8]) {
    guard bytes.count == AEADAlgorithm.nonceSize else { return nil }
    stream = UInt32(UInt64(bigEndianBytes: bytes[..<4]))
    sequence = UInt64(bigEndianBytes: bytes[4...])
  }

  /// The 12 bytes in memory order.
  fileprivate var raw: (UInt32, UInt32, UInt32) {
    (
      stream.bigEndian, UInt32(truncatingIfNeeded: sequence >> 32).bigEndian,
      UInt32(truncatingIfNeeded: sequence).bigEndian
    )
  }
}

/// An algorithm that libcrypto has fetched, kept for the life of the process; immutable.
@safe private struct FetchedCipher: @unchecked Sendable {
  let pointer: OpaquePointer?

  private init(_ algorithm: AEADAlgorithm) {
    unsafe pointer = EVP_CIPHER_fetch(nil, algorithm.libraryName, nil)
  }

  private static let aes128 = FetchedCipher(.aes128GCM)
  private static let aes256 = FetchedCipher(.aes256GCM)
  private static let chacha = FetchedCipher(.chacha20Poly1305)

  static func of(_ algorithm: AEADAlgorithm) -> FetchedCipher {
    switch algorithm {
    case .aes128GCM: aes128
    case .aes256GCM: aes256
    case .chacha20Poly1305: chacha
    }
  }
}

/// Owns one `EVP_CIPHER_CTX` with its key set. Freeing clears the key schedule.
///
/// It is not private, because a private type that is stored in a public one breaks optimised builds
/// of other modules (Swift 6.3.1 fails with "Global is external").
@safe struct CipherContext: ~Copyable, @unchecked Sendable {
  let pointer: OpaquePointer

  init(_ algorithm: AEADAlgorithm, key: [UInt8], encrypting: Bool) throws(MigrationError) {
    guard key.count == algorithm.keySize else {
      throw MigrationError(.cryptography, "key has a wrong length")
    }
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

  /// Sets the nonce and adds the associated data: both regions are read with their own lengths.
  func begin(_ nonce: AEADNonce, _ data: UnsafePointer<UInt8>?, _ count: Int) -> Bool {
    var raw = nonce.raw
    let started = unsafe withUnsafeBytes(of: &raw) { bytes in
      unsafe EVP_CipherInit_ex2(
        pointer, nil, nil, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), -1, nil)
    }
    var written: Int32 = 0
    guard started == 1 else { return false }
    if count == 0 { return true }
    return unsafe EVP_CipherUpdate(pointer, nil, &written, data, Int32(count)) == 1
  }
}

/// Encrypts under one key. It is used by one thread at a time: each worker has its own.
///
/// Sealing a message allocates nothing. A nonce must never be used twice under one key.
@safe package struct AEADSealer: ~Copyable, Sendable {
  private let context: CipherContext

  /// - Throws: `INTERNAL-CRYPTOGRAPHY` when the key has another length than the algorithm's.
  package init(_ algorithm: AEADAlgorithm = .aes256GCM, key: [UInt8]) throws(MigrationError) {
    context = try CipherContext(algorithm, key: key, encrypting: true)
  }

  /// Encrypts `plaintext` into `buffer`, which already holds the associated data.
  ///
  /// - Parameters:
  ///   - buffer: receives ciphertext and tag; the three ranges in it must not overlap.
  ///   - associatedData: range of the associated data in the buffer.
  ///   - tag: offset in the buffer for the 16 bytes of the tag.
  ///   - ciphertext: offset in the buffer for the ciphertext, which is as long as the plaintext.
  /// - Throws: `INTERNAL-CRYPTOGRAPHY` when a range lies outside the buffer.
  package mutating func seal(
    _ plaintext: Span<UInt8>, nonce: AEADNonce, in buffer: inout MutableSpan<UInt8>,
    associatedData: Range<Int>, tag: Int, ciphertext: Int
  ) throws(MigrationError) {
    let size = buffer.count
    guard associatedData.lowerBound >= 0, associatedData.upperBound <= size, tag >= 0,
      tag <= size - AEADAlgorithm.tagSize, ciphertext >= 0, plaintext.count <= size - ciphertext,
      plaintext.count <= Int32.max, associatedData.count <= Int32.max
    else { throw MigrationError(.cryptography, "no room for a sealed message") }
    // All ranges were just checked to lie in the buffer; libcrypto reads and writes only those.
    let sealed = unsafe buffer.withUnsafeMutableBufferPointer { buffer in
      unsafe plaintext.withUnsafeBufferPointer { plaintext in
        guard let base = buffer.baseAddress else { return false }
        var written: Int32 = 0
        return unsafe context.begin(
          nonce, base + associatedData.lowerBound, associatedData.count)
          && (plaintext.isEmpty
            || EVP_EncryptUpdate(
              context.pointer, base + ciphertext, &written, plaintext.baseAddress,
              Int32(plaintext.count)) == 1)
          && EVP_EncryptFinal_ex(context.pointer, base + ciphertext, &written) == 1
          && EVP_CIPHER_CTX_ctrl(
            context.pointer, EVP_CTRL_AEAD_GET_TAG, Int32(AEADAlgorithm.tagSize), base + tag) == 1
      }
    }
    guard sealed else { throw failure(of: "EVP_EncryptUpdate") }
  }

  /// The first 8 bytes of the tag over `data` alone, which is read in place and not encrypted.
  /// - Throws: `INTERNAL-CRYPTOGRAPHY` when `data` has 2 GiB or more.
  package mutating func shortTag(
    over data: Span<UInt8>, nonce: AEADNonce
  ) throws(MigrationError) -> UInt64 {
    var tag: UInt64 = 0
    var spare: UInt8 = 0
    var written: Int32 = 0
    guard data.count <= Int32.max else {
      throw MigrationError(.cryptography, "message is too long")
    }
    // The data are read with their own length; of the tag 8 bytes are written.
    let isMade = unsafe data.withUnsafeBufferPointer { data in
      unsafe context.begin(nonce, data.baseAddress, data.count)
        && EVP_EncryptFinal_ex(context.pointer, &spare, &written) == 1
        && EVP_CIPHER_CTX_ctrl(
          context.pointer, EVP_CTRL_AEAD_GET_TAG, Int32(MemoryLayout<UInt64>.size), &tag) == 1
    }
    guard isMade else { throw failure(of: "EVP_EncryptFinal_ex") }
    return tag
  }

  /// Encrypts a short message.
  /// - Returns: the ciphertext, which is as long as the plaintext, and the tag.
  package mutating func seal(
    _ plaintext: [UInt8], nonce: AEADNonce, associatedData: [UInt8]
  ) throws(MigrationError) -> (ciphertext: [UInt8], tag: [UInt8]) {
    let ciphertext = associatedData.count
    let tag = ciphertext + plaintext.count
    var buffer =
      associatedData
      + [UInt8](repeating: 0, count: plaintext.count + AEADAlgorithm.tagSize)
    var span = buffer.mutableSpan
    try seal(
      plaintext.span, nonce: nonce, in: &span, associatedData: 0..<ciphertext, tag: tag,
      ciphertext: ciphertext)
    return (Array(buffer[ciphertext..<tag]), Array(buffer[tag...]))
  }
}

/// Decrypts under one key. It is used by one thread at a time: each worker has its own.
@safe package struct AEADOpener: ~Copyable, Sendable {
  private let context: CipherContext

  /// - Throws: `INTERNAL-CRYPTOGRAPHY` when the key has another length than the algorithm's.
  package init(_ algorithm: AEADAlgorithm = .aes256GCM, key: [UInt8]) throws(MigrationError) {
    context = try CipherContext(algorithm, key: key, encrypting: false)
  }

  /// Decrypts `ciphertext` into `output` at `position` and checks the tag.
  ///
  /// - Parameter tag: 16 bytes.
  /// - Returns: whether the tag is valid. When it is not, the plaintext that was written has been
  ///   wiped.
  package mutating func open(
    _ ciphertext: Span<UInt8>, nonce: AEADNonce, associatedData: Span<UInt8>, tag: Span<UInt8>,
    into output: inout MutableSpan<UInt8>, at position: Int
  ) -> Bool {
    guard tag.count == AEADAlgorithm.tagSize, position >= 0,
      ciphertext.count <= output.count - position, ciphertext.count <= Int32.max,
      associatedData.count <= Int32.max
    else { return false }
    // Each region is read with its own length; the output has room, as just checked.
    let isGood = unsafe output.withUnsafeMutableBufferPointer { output in
      unsafe ciphertext.withUnsafeBufferPointer { ciphertext in
        unsafe associatedData.withUnsafeBufferPointer { data in
          unsafe tag.withUnsafeBufferPointer { tag in
            let target = unsafe output.baseAddress.map { unsafe $0 + position }
            var written: Int32 = 0
            var spare: UInt8 = 0
            return unsafe context.begin(nonce, data.baseAddress, data.count)
              && (ciphertext.isEmpty
                || EVP_DecryptUpdate(
                  context.pointer, target, &written, ciphertext.baseAddress,
                  Int32(ciphertext.count)) == 1)
              && EVP_CIPHER_CTX_ctrl(
                context.pointer, EVP_CTRL_AEAD_SET_TAG, Int32(AEADAlgorithm.tagSize),
                UnsafeMutableRawPointer(mutating: tag.baseAddress)) == 1
              && EVP_DecryptFinal_ex(context.pointer, &spare, &written) == 1
          }
        }
      }
    }
    if !isGood {
      ERR_clear_error()
      // The output has room for the plaintext there; unlike a loop, this is never optimised away.
      unsafe output.withUnsafeMutableBufferPointer { output in
        guard let base = output.baseAddress else { return }
        unsafe OPENSSL_cleanse(base + position, ciphertext.count)
      }
    }
    return isGood
  }

  /// Decrypts a short message.
  /// - Returns: nil when the tag is wrong.
  package mutating func open(
    _ ciphertext: Span<UInt8>, nonce: AEADNonce, associatedData: Span<UInt8>, tag: Span<UInt8>
  ) -> [UInt8]? {
    var plaintext = [UInt8](repeating: 0, count: ciphertext.count)
    var output = plaintext.mutableSpan
    let isGood = open(
      ciphertext, nonce: nonce, associatedData: associatedData, tag: tag, into: &output, at: 0)
    return isGood ? plaintext : nil
  }
}
