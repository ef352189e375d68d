public import Errors

/// Two bits about each page of RAM blocks, or of a guest-physical memory: whether the page is present, and
/// whether it was noted in the current round.
///
/// Its memory is bounded as that of a `PageSet` is.
@usableFromInline
package struct PageTracker: ~Copyable {
  @usableFromInline var pages: PageSet
  /// Pages present now.
  package private(set) var count: UInt64 = 0

  /// What is known about one page.
  @frozen @usableFromInline
  package struct Bits: Sendable {
    /// Whether the page is present.
    @usableFromInline package var isPresent: Bool
    /// Whether the page was noted in the current round.
    @usableFromInline package var isCurrent: Bool

    @inlinable init(isPresent: Bool, isCurrent: Bool) {
      (self.isPresent, self.isCurrent) = (isPresent, isCurrent)
    }
  }

  /// - Parameter memory: most nodes of 4 KiB that are in memory, at least 8.
  package init(memory: Int = NodePool.defaultLimit) {
    pages = PageSet(keepsMarks: true, memory: memory)
  }

  /// The bits of one page.
  /// - Throws: `OUTPUT-CREATE`, `IO-WRITE`, `IO-READ` for the temporary file, as all of the following.
  @inlinable @inline(__always)
  package mutating func bits(
    of page: UInt64, of block: Int = 0
  ) throws(MigrationError) -> Bits {
    let isPresent = try pages.contains(page, of: block)
    return Bits(isPresent: isPresent, isCurrent: pages.marks >> (page % 64) & 1 == 1)
  }

  /// Notes that a page came in this round, and is now present or withdrawn.
  /// - Returns: the bits of the page before this call.
  @discardableResult
  package mutating func note(
    _ page: UInt64, of block: Int = 0, isPresent: Bool
  ) throws(MigrationError) -> Bits {
    let known = try bits(of: page, of: block)
    let mask: UInt64 = 1 << (page % 64)
    pages.marks |= mask
    if known.isPresent != isPresent {
      pages.bits ^= mask
      count = isPresent ? count &+ 1 : count &- 1
    }
    return known
  }

  /// Begins a new round: no page has come in it yet.
  package mutating func beginRound() { pages.beginRound() }

  /// The first page of a range that is not present. Time is linear in the pages before it that are.
  package mutating func firstMissing(
    in range: Range<UInt64>, of block: Int = 0
  ) throws(MigrationError) -> UInt64? {
    try pages.firstMissing(in: range, of: block)
  }

  /// Calls `body` with each page that is present, in ascending order.
  package mutating func forEachPage(
    of block: Int = 0, _ body: (UInt64) throws(MigrationError) -> Void
  ) throws(MigrationError) {
    try pages.forEachPiece(in: 0..<UInt64.max, of: block) {
      (start, bits) throws(MigrationError) in
      var left = bits
      while left != 0 {
        try body(start + UInt64(left.trailingZeroBitCount))
        left &= left - 1
      }
      return true
    }
  }

  /// The pages that are present, as ranges that are ascending and not adjacent.
  /// - Parameter limit: largest number of ranges.
  /// - Returns: nil when there are more.
  package mutating func ranges(
    of block: Int = 0, limit: Int
  ) throws(MigrationError) -> [Range<UInt64>]? {
    try pages.ranges(of: block, limit: limit)
  }
}
