internal import CLibCrypto

/// Overwrites `bytes` with zeros in a way the compiler keeps, and empties the array.
///
/// Wipes this array's own storage: call it on the only copy. Of a shared array only this name is
/// emptied; the bytes stay with the others.
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

/// Secret bytes with one owner that wipes them. What prints or reflects an owner sees only a name.
///
/// Sendable because nothing changes the bytes before `deinit`, which runs alone.
package final class SecretBytes: @unchecked Sendable {
  package private(set) var bytes: [UInt8]

  package init(_ bytes: [UInt8]) { self.bytes = bytes }

  deinit { wipe(&bytes) }
}

extension SecretBytes: CustomStringConvertible, CustomReflectable {
  package var description: String { "secret" }
  package var customMirror: Mirror { Mirror(self, children: []) }
}
