/// A set of clusters of a file: one bit for each, in pieces that are allocated when a cluster of
/// theirs is inserted.
struct ClusterSet {
  /// Most clusters of a file: 32 MiB of bits, 16 TiB of clusters of 64 KiB.
  static let limit: UInt64 = 1 << 28
  private static let pieceWords = 512
  private static let pieceBits = UInt64(64 * pieceWords)

  private var pieces: [[UInt64]]

  /// - Parameter count: number of clusters of the file, at most `limit`.
  init(count: UInt64) {
    pieces = Array(repeating: [], count: Int((count + Self.pieceBits - 1) / Self.pieceBits))
  }

  /// - Parameter cluster: number of the cluster, less than the count.
  /// - Returns: whether the cluster was not in the set before.
  mutating func insert(_ cluster: UInt64) -> Bool {
    let (piece, bit) = (Int(cluster / Self.pieceBits), cluster % Self.pieceBits)
    if pieces[piece].isEmpty { pieces[piece] = Array(repeating: 0, count: Self.pieceWords) }
    let (word, mask) = (Int(bit / 64), UInt64(1) << (bit % 64))
    guard pieces[piece][word] & mask == 0 else { return false }
    pieces[piece][word] |= mask
    return true
  }
}
