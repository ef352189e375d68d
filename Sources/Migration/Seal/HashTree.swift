internal import Cryptography
package import Errors
internal import Wire

/// The hash tree over the leaves (RFC 6962 section 2.1, with SHA-256).
package enum HashTree {
  /// The root over `leaves`, 32 bytes each; empty when there are none.
  package static func root(of leaves: [UInt8]) throws(MigrationError) -> [UInt8] {
    // Roots of complete subtrees, whose sizes fall strictly.
    var roots: [UInt8] = []
    var sizes: [Int] = []
    var hash = try SHA256()
    for start in stride(from: 0, to: leaves.count, by: SHA256.size) {
      roots.append(copying: leaves.span.extracting(start..<start + SHA256.size))
      sizes.append(1)
      while sizes.count >= 2, sizes[sizes.count - 1] == sizes[sizes.count - 2] {
        try joinLastTwo(&roots, &sizes, with: &hash)
      }
    }
    while sizes.count >= 2 { try joinLastTwo(&roots, &sizes, with: &hash) }
    return roots
  }

  private static func joinLastTwo(
    _ roots: inout [UInt8], _ sizes: inout [Int], with hash: inout SHA256
  ) throws(MigrationError) {
    let left = roots.count - 2 * SHA256.size
    try hash.update(nodeMark.span)
    try hash.update(roots.span.extracting(left..<roots.count))
    var output = roots.mutableSpan
    try hash.finish(into: &output, at: left)
    roots.removeLast(SHA256.size)
    sizes[sizes.count - 2] += sizes[sizes.count - 1]
    sizes.removeLast()
  }

  /// What is hashed before the two roots below a node.
  private static let nodeMark: [UInt8] = [1]
}
