internal import Cryptography
package import Errors
internal import Wire

/// The hash tree over the leaves (RFC 6962 section 2.1, with SHA-256).
package enum HashTree {
  /// The root over `leaves`: 32 bytes. When there are none it is the hash of no bytes.
  package static func root(of leaves: LeafList) throws(MigrationError) -> [UInt8] {
    var tree = try Builder()
    for index in 0..<leaves.runCount {
      let (leaf, range) = leaves.run(index)
      try tree.append(leaf, count: UInt64(range.count))
    }
    return try tree.root()
  }

  /// Adds leaves and joins complete subtrees.
  private struct Builder: ~Copyable {
    /// Roots of complete subtrees, in strictly decreasing order of size.
    private var roots: [UInt8] = []
    private var sizes: [UInt64] = []
    private var count: UInt64 = 0
    private var hash: SHA256

    init() throws(MigrationError) { hash = try SHA256() }

    /// Adds `count` equal leaves. A complete subtree of them costs one hash for each of its levels.
    mutating func append(_ leaf: [UInt8], count: UInt64) throws(MigrationError) {
      // Roots of complete trees of 1, 2, 4 ... such leaves.
      var equal = [leaf]
      var left = count
      while left > 0 {
        // A subtree begins at a multiple of its size.
        let level = min(
          self.count.trailingZeroBitCount, UInt64.bitWidth - 1 - left.leadingZeroBitCount)
        while equal.count <= level {
          var pair = equal[equal.count - 1] + equal[equal.count - 1]
          try Self.join(&pair, at: 0, with: &hash)
          equal.append(pair)
        }
        roots += equal[level]
        sizes.append(1 << UInt64(level))
        self.count += 1 << UInt64(level)
        left -= 1 << UInt64(level)
        while sizes.count >= 2, sizes[sizes.count - 1] == sizes[sizes.count - 2] {
          try joinLastTwo()
        }
      }
    }

    mutating func root() throws(MigrationError) -> [UInt8] {
      while sizes.count >= 2 { try joinLastTwo() }
      return sizes.isEmpty ? try SHA256.hash([] as [UInt8]) : roots
    }

    private mutating func joinLastTwo() throws(MigrationError) {
      try Self.join(&roots, at: roots.count - 2 * SHA256.size, with: &hash)
      sizes[sizes.count - 2] += sizes[sizes.count - 1]
      sizes.removeLast()
    }

    /// Replaces the last two roots, which begin at `left`, with the node over them.
    private static func join(
      _ roots: inout [UInt8], at left: Int, with hash: inout SHA256
    ) throws(MigrationError) {
      try hash.update(nodeMark.span)
      try hash.update(roots.span.extracting(left..<roots.count))
      var output = roots.mutableSpan
      try hash.finish(into: &output, at: left)
      roots.removeLast(SHA256.size)
    }
  }

  /// The prefix that is hashed before the two roots below a node.
  private static let nodeMark: [UInt8] = [1]
}
