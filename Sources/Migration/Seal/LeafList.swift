internal import Errors
internal import FileIO
internal import Wire

/// The leaves of a seal's hash tree, in order. Equal neighbours are stored as one run, so that a
/// sparse stream of terabytes has few runs.
package struct LeafList: Equatable {
  /// Size of a leaf in bytes.
  private static let size = LeafHasher.hashSize
  /// Bytes that are written at once, a whole number of leaves.
  private static let pieceSize = 64 << 10

  /// The leaf of each run.
  private var bytes: [UInt8] = []
  /// Number of the first leaf after each run.
  private var ends: [UInt64] = []

  package init() {}

  package var count: UInt64 { ends.last ?? 0 }
  var runCount: Int { ends.count }

  /// Appends `count` leaves that are all `leaf`.
  package mutating func append(_ leaf: [UInt8], count: UInt64 = 1) {
    append(leaf.span, count: count)
  }

  /// Appends `count` leaves that are all `leaf`.
  mutating func append(_ leaf: Span<UInt8>, count: UInt64 = 1) {
    precondition(leaf.count == Self.size)
    guard count > 0 else { return }
    let end = self.count + count
    let last = bytes.count - Self.size
    if last >= 0, bytes.span.extracting(last...).isEqual(to: leaf) {
      ends[ends.count - 1] = end
    } else {
      bytes.append(copying: leaf)
      ends.append(end)
    }
  }

  /// The leaf of a run, and the numbers of the leaves in it.
  func run(_ index: Int) -> (leaf: [UInt8], range: Range<UInt64>) {
    let first = index == 0 ? 0 : ends[index - 1]
    let start = index * Self.size
    return (Array(bytes[start..<start + Self.size]), first..<ends[index])
  }

  /// All leaves, concatenated.
  package var encoded: [UInt8] {
    var encoded: [UInt8] = []
    for index in 0..<runCount {
      let (leaf, range) = run(index)
      for _ in range { encoded += leaf }
    }
    return encoded
  }

  /// Writes all leaves, concatenated, without holding them all in memory.
  /// - Throws: `IO-WRITE`.
  func write(to output: any ByteOutput) throws(MigrationError) {
    var piece: [UInt8] = []
    for index in 0..<runCount {
      let (leaf, range) = run(index)
      for _ in range {
        piece += leaf
        guard piece.count == Self.pieceSize else { continue }
        try output.write(piece)
        piece.removeAll(keepingCapacity: true)
      }
    }
    try output.write(piece)
  }

  /// Compares the leaves of the same number in both lists, and calls `body` for each range of
  /// numbers in which they differ and neither list changes.
  /// - Parameter body: returns false to stop the comparison.
  /// - Throws: what `body` throws.
  func forEachDifference(
    from other: LeafList,
    _ body: (
      _ mine: [UInt8], _ other: [UInt8], _ range: Range<UInt64>
    ) throws(MigrationError) -> Bool
  ) throws(MigrationError) {
    var (index, place) = (0, 0)
    while index < runCount, place < other.runCount {
      let (mine, its) = (run(index), other.run(place))
      let end = min(mine.range.upperBound, its.range.upperBound)
      if mine.leaf != its.leaf {
        let range = max(mine.range.lowerBound, its.range.lowerBound)..<end
        guard try body(mine.leaf, its.leaf, range) else { return }
      }
      if mine.range.upperBound == end { index += 1 }
      if its.range.upperBound == end { place += 1 }
    }
  }
}
