package import Bytes
internal import Cryptography

/// The hash tree over the leaves (RFC 6962 section 2.1, with SHA-256).
package enum HashTree {
  /// The root over `leaves`, 32 bytes each, at least one.
  package static func root(of leaves: [UInt8]) throws(MigrationError) -> [UInt8] {
    // Each entry is the root of a complete subtree of `leaves` leaves; sizes fall strictly.
    var stack: [(hash: [UInt8], leaves: Int)] = []
    for start in stride(from: 0, to: leaves.count, by: LeafHasher.hashSize) {
      stack.append((Array(leaves[start..<start + LeafHasher.hashSize]), 1))
      while stack.count >= 2, stack[stack.count - 1].leaves == stack[stack.count - 2].leaves {
        try joinLastTwo(&stack)
      }
    }
    while stack.count >= 2 { try joinLastTwo(&stack) }
    return stack.first?.hash ?? []
  }

  private static func joinLastTwo(
    _ stack: inout [(hash: [UInt8], leaves: Int)]
  ) throws(MigrationError) {
    let right = stack.removeLast()
    let left = stack.removeLast()
    stack.append((try SHA256.hash([1] + left.hash + right.hash), left.leaves + right.leaves))
  }
}
