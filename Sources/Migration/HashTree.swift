internal import Bytes
internal import Cryptography

/// Hashes a stream chunk by chunk as it passes: the leaves of the seal's hash tree.
///
/// A leaf is SHA-256 of a zero byte and the chunk; leaf and node are told apart by that first byte,
/// as in RFC 6962 section 2.1. Chunks depend on stream offsets alone, so they can be hashed and
/// checked in any order.
struct ChunkHasher: ~Copyable {
  /// Bytes of every chunk but the last, which may be shorter.
  static let chunkSize = 256 << 10
  /// Bytes of a leaf and of a node.
  static let hashSize = 32

  private var hash: SHA256
  private var filled = 0
  /// The leaves so far, 32 bytes each.
  private(set) var leaves: [UInt8] = []
  /// Bytes hashed so far.
  private(set) var length: UInt64 = 0

  init() throws(MigrationError) { hash = try SHA256() }

  /// Takes the next bytes of the stream.
  mutating func update(_ bytes: Span<UInt8>) throws(MigrationError) {
    var next = 0
    while next < bytes.count {
      if filled == 0 { try hash.update([0]) }
      let count = min(bytes.count - next, Self.chunkSize - filled)
      try hash.update(bytes.extracting(next..<next + count))
      next += count
      filled += count
      length += UInt64(count)
      if filled == Self.chunkSize { try closeChunk() }
    }
  }

  /// Closes the last chunk. Nothing can be hashed after it.
  mutating func finish() throws(MigrationError) {
    if filled > 0 { try closeChunk() }
  }

  private mutating func closeChunk() throws(MigrationError) {
    leaves += try hash.finish()
    filled = 0
  }
}

/// The hash tree over the leaves (RFC 6962 section 2.1, with SHA-256).
enum HashTree {
  /// The root over `leaves`, 32 bytes each, at least one.
  static func root(of leaves: [UInt8]) throws(MigrationError) -> [UInt8] {
    // Each entry is the root of a complete subtree of `leaves` leaves; sizes fall strictly.
    var stack: [(hash: [UInt8], leaves: Int)] = []
    for start in stride(from: 0, to: leaves.count, by: ChunkHasher.hashSize) {
      stack.append((Array(leaves[start..<start + ChunkHasher.hashSize]), 1))
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
