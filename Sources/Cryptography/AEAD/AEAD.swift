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
  var raw: (UInt32, UInt32, UInt32) {
    (
      stream.bigEndian, UInt32(truncatingIfNeeded: sequence >> 32).bigEndian,
      UInt32(truncatingIfNeeded: sequence).bigEndian
    )
  }
}

/// The error for an encryption that failed although its arguments were valid. Clears libcrypto's error queue of
/// this thread.
private func refusal() -> MigrationError {
  ERR_clear_error()
  return MigrationError(.cryptography, "library refused to encrypt")
}

/// Encrypts under one key. It is used by one thread at a time: each worker has its own.
///
/// Sealing a message allocates nothing. A nonce must never be used twice under one key.
@safe package struct AEADSealer: ~Copyable, Sendable {
  private let context: CipherContext

  /// - Parameter engine: the library that encrypts; the result does not depend on it.
  /// - Throws: `INTERNAL-CRYPTOGRAPHY` when the key has another length than the algorithm's.
  package init(
    _ algorithm: AEADAlgorithm = .aes256GCM, key: [UInt8], engine: AEADEngine = .preferred
  ) throws(MigrationError) {
    context = try CipherContext(algorithm, key: key, encrypting: true, engine)
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
    // All ranges were just checked to lie in the buffer; the library reads and writes only those.
    let sealed = unsafe buffer.withUnsafeMutableBufferPointer { buffer in
      unsafe plaintext.withUnsafeBufferPointer { plaintext in
        guard let base = buffer.baseAddress else { return false }
        return unsafe context.seal(
          plaintext, nonce: nonce,
          UnsafeBufferPointer(
            start: base + associatedData.lowerBound, count: associatedData.count),
          into: base + ciphertext, tag: base + tag)
      }
    }
    guard sealed else { throw refusal() }
  }

  /// The first 8 bytes of the tag over `data` alone, which is read in place and not encrypted.
  /// - Throws: `INTERNAL-CRYPTOGRAPHY` when `data` has 2 GiB or more.
  package mutating func shortTag(
    over data: Span<UInt8>, nonce: AEADNonce
  ) throws(MigrationError) -> UInt64 {
    var tag: (UInt64, UInt64) = (0, 0)
    guard data.count <= Int32.max else {
      throw MigrationError(.cryptography, "message is too long")
    }
    // The data are read with their own length; of the tag 16 bytes are written.
    let isMade = unsafe data.withUnsafeBufferPointer { data in
      unsafe withUnsafeMutableBytes(of: &tag) { tag in
        let target = unsafe tag.baseAddress?.assumingMemoryBound(to: UInt8.self)
        guard let target = unsafe target else { return false }
        return unsafe context.seal(
          UnsafeBufferPointer(start: nil, count: 0), nonce: nonce, data, into: target, tag: target)
      }
    }
    guard isMade else { throw refusal() }
    return tag.0
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

  /// - Parameter engine: the library that decrypts; the result does not depend on it.
  /// - Throws: `INTERNAL-CRYPTOGRAPHY` when the key has another length than the algorithm's.
  package init(
    _ algorithm: AEADAlgorithm = .aes256GCM, key: [UInt8], engine: AEADEngine = .preferred
  ) throws(MigrationError) {
    context = try CipherContext(algorithm, key: key, encrypting: false, engine)
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
            unsafe context.open(
              ciphertext, nonce: nonce, data, tag: tag,
              into: output.baseAddress.map { unsafe $0 + position })
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
