internal import CLibCrypto

/// Overwrites `bytes` with zeros, in a way that the compiler does not optimise away, and empties
/// the array.
///
/// It wipes the storage of this array, so it must be called on the only copy. If the storage is
/// shared, only this variable is emptied, and the other copies keep the bytes.
package func wipe(_ bytes: inout [UInt8]) {
  // OPENSSL_cleanse writes exactly the array's bytes.
  unsafe bytes.withUnsafeMutableBytes { unsafe OPENSSL_cleanse($0.baseAddress, $0.count) }
  bytes = []
}

/// Whether two byte strings are equal, in a time that depends only on their lengths.
package func equalInConstantTime(_ left: Span<UInt8>, _ right: Span<UInt8>) -> Bool {
  guard left.count == right.count else { return false }
  // Both regions have `left.count` bytes; CRYPTO_memcmp reads no more.
  return unsafe left.withUnsafeBufferPointer { left in
    unsafe right.withUnsafeBufferPointer { right in
      unsafe CRYPTO_memcmp(left.baseAddress, right.baseAddress, left.count) == 0
    }
  }
}

/// Whether two byte strings are equal, in a time that depends only on their lengths.
package func equalInConstantTime(_ left: [UInt8], _ right: [UInt8]) -> Bool {
  equalInConstantTime(left.span, right.span)
}

/// Secret bytes that are wiped when their owner is freed. Printing or reflecting this object shows
/// only a name.
///
/// It is Sendable because nothing changes the bytes before `deinit`, when no other reference
/// exists.
package final class SecretBytes: @unchecked Sendable {
  /// The secret. A caller must not keep a copy.
  package private(set) var bytes: [UInt8]

  /// - Parameter bytes: the secret. This must be the only copy, or the others are not wiped.
  package init(_ bytes: [UInt8]) { self.bytes = bytes }

  deinit { wipe(&bytes) }
}

extension SecretBytes: CustomStringConvertible, CustomReflectable {
  package var description: String { "secret" }
  package var customMirror: Mirror { Mirror(self, children: []) }
}
