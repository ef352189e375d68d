public import Errors

/// A set of pages of RAM blocks.
///
/// It keeps one bit for each page, and only those 64-page pieces that have pages in the set. The pieces that
/// were used last are in memory, 8 MiB of them; when there are more, the others are in a temporary file. So
/// memory use is bounded, and the space in the file is a small multiple of the bytes of the records that were
/// read; neither depends on an offset or length in a record.
@usableFromInline
package struct PageSet: ~Copyable {
  /// Bits of the number of a piece in its block: pages have 256 bytes or more, and offsets 64 bits.
  @usableFromInline static var pieceBits: UInt64 { 51 }
  /// The number of no piece.
  private static let none = UInt64.max
  /// The words of a piece without pages.
  private static let nothing = WordTree.Words(first: 0)

  /// The piece that was looked at last: most pages are in the same piece as the one before.
  @usableFromInline var piece = PageSet.none
  /// The pages of that piece.
  @usableFromInline var bits: UInt64 = 0
  /// The pages of that piece that are marked in this round, whether they are in the set or not; see
  /// `PageTracker`.
  @usableFromInline var marks: UInt64 = 0
  /// What the tree has for that piece.
  private var stored: WordTree.Words?
  private var tree: WordTree

  /// - Parameter memory: most nodes of 4 KiB that are in memory, at least 8.
  package init(memory: Int = NodePool.defaultLimit) { tree = WordTree(memory: memory) }

  /// - Parameter keepsMarks: whether pages can be marked.
  init(keepsMarks: Bool, memory: Int) {
    tree = WordTree(words: keepsMarks ? 2 : 1, memory: memory)
  }

  /// - Returns: whether the page was not in the set before.
  /// - Throws: `OUTPUT-CREATE`, `IO-WRITE`, `IO-READ` for the temporary file, as all of the following.
  @inlinable
  package mutating func insert(
    _ page: UInt64, of block: Int = 0
  ) throws(MigrationError) -> Bool {
    let wanted = Self.piece(page, block)
    if wanted != piece { try look(at: wanted) }
    let mask: UInt64 = 1 << (page % 64)
    guard bits & mask == 0 else { return false }
    bits |= mask
    return true
  }

  /// Inserts some of 64 pages.
  /// - Parameters:
  ///   - some: a bit for each page that is inserted, the lowest for the first.
  ///   - first: number of the first page, a multiple of 64.
  package mutating func insert(
    _ some: UInt64, from first: UInt64, of block: Int
  ) throws(MigrationError) {
    let wanted = Self.piece(first, block)
    if wanted != piece { try look(at: wanted) }
    bits |= some
  }

  /// Inserts all pages of a range. Time is linear in the range.
  package mutating func insert(
    _ pages: Range<UInt64>, of block: Int
  ) throws(MigrationError) {
    var next = pages.lowerBound
    while next < pages.upperBound {
      let wanted = Self.piece(next, block)
      if wanted != piece { try look(at: wanted) }
      bits |= Self.mask(of: next..<pages.upperBound, in: wanted)
      next = next / 64 * 64 + 64
    }
  }

  @inlinable @inline(__always)
  package mutating func contains(
    _ page: UInt64, of block: Int = 0
  ) throws(MigrationError) -> Bool {
    let wanted = Self.piece(page, block)
    if wanted != piece { try look(at: wanted) }
    return bits >> (page % 64) & 1 == 1
  }

  /// Removes all pages of a range of any length. Ranges without pages cost nothing, and each inserted page
  /// pays for one removal.
  package mutating func remove(
    _ pages: Range<UInt64>, of block: Int = 0
  ) throws(MigrationError) {
    guard let last = pages.last else { return }
    let first = Self.piece(pages.lowerBound, block)
    guard first != Self.piece(last, block) else {
      if first != piece { try look(at: first) }
      bits &= ~Self.mask(of: pages, in: first)
      return
    }
    try settle()
    var next = try tree.first(atLeast: first)
    while let (found, held) = next, found <= Self.piece(last, block) {
      var kept = held
      kept.first &= ~Self.mask(of: pages, in: found)
      if kept == Self.nothing {
        try tree.remove()
        next = try tree.first(atLeast: found + 1)
      } else {
        try tree.replace(with: kept)
        next = try tree.next()
      }
    }
  }

  package mutating func removeAll() {
    (piece, bits, marks, stored) = (Self.none, 0, 0, nil)
    tree.removeAll()
  }

  /// Begins the next round: no page is marked.
  mutating func beginRound() {
    marks = 0
    stored?.second = 0
    tree.beginRound()
  }

  // MARK: Ranges

  /// Number of pages of a range that are in the set.
  package mutating func count(
    in pages: Range<UInt64>, of block: Int = 0
  ) throws(MigrationError) -> UInt64 {
    var found: UInt64 = 0
    try forEachPiece(in: pages, of: block) { (_, bits) in
      found += UInt64(bits.nonzeroBitCount)
      return true
    }
    return found
  }

  /// The first page of a range that is in the set. Only pieces with pages are searched.
  package mutating func first(
    in pages: Range<UInt64>, of block: Int = 0
  ) throws(MigrationError) -> UInt64? {
    var found: UInt64?
    try forEachPiece(in: pages, of: block) { start, bits in
      found = start + UInt64(bits.trailingZeroBitCount)
      return false
    }
    return found
  }

  /// The first page of a range that is not in the set. Time is linear in the pages before it that are.
  package mutating func firstMissing(
    in pages: Range<UInt64>, of block: Int = 0
  ) throws(MigrationError) -> UInt64? {
    var next = pages.lowerBound
    try forEachPiece(in: pages, of: block) { start, bits in
      // A piece that begins before the range has no bits there.
      guard start <= next else { return false }
      let present = (~(bits >> (next - start))).trailingZeroBitCount
      next += UInt64(present)
      return next == start + 64
    }
    return next < pages.upperBound ? next : nil
  }

  /// The pages of a block, as ranges that are ascending and not adjacent.
  /// - Parameter limit: largest number of ranges.
  /// - Returns: nil when there are more.
  package mutating func ranges(
    of block: Int = 0, limit: Int
  ) throws(MigrationError) -> [Range<UInt64>]? {
    var found: [Range<UInt64>] = []
    try forEachPiece(in: 0..<UInt64.max, of: block) { start, bits in
      var left = bits
      while left != 0, found.count <= limit {
        let first = start + UInt64(left.trailingZeroBitCount)
        let count = UInt64((~(left >> (first - start))).trailingZeroBitCount)
        if let last = found.last, last.upperBound == first {
          found[found.count - 1] = last.lowerBound..<first + count
        } else {
          found.append(first..<first + count)
        }
        left &= ~Self.bits(from: first - start, to: first - start + count)
      }
      return found.count <= limit
    }
    return found.count <= limit ? found : nil
  }

  /// Calls `body` for each 64 pages some of which are in a range and in the set, in order: with the number of
  /// the first of the 64, and a bit for each of those. It ends once `body` returns false.
  mutating func forEachPiece(
    in pages: Range<UInt64>, of block: Int,
    _ body: (UInt64, UInt64) throws(MigrationError) -> Bool
  ) throws(MigrationError) {
    guard let last = pages.last else { return }
    try settle()
    var next = try tree.first(atLeast: Self.piece(pages.lowerBound, block))
    while let (found, held) = next, found <= Self.piece(last, block) {
      let bits = held.first & Self.mask(of: pages, in: found)
      if bits != 0, try !body(Self.firstPage(of: found), bits) { return }
      next = try tree.next()
    }
  }

  // MARK: Pieces

  /// The number of the 64 pages of a block among which a page is.
  @inlinable static func piece(_ page: UInt64, _ block: Int) -> UInt64 {
    UInt64(truncatingIfNeeded: block) << pieceBits | min(page / 64, 1 << pieceBits - 1)
  }

  /// The first page of a piece.
  private static func firstPage(of piece: UInt64) -> UInt64 {
    (piece & (1 << pieceBits - 1)) * 64
  }

  /// The bits that the pages of a range have in a piece.
  private static func mask(of pages: Range<UInt64>, in piece: UInt64) -> UInt64 {
    let start = firstPage(of: piece)
    let part = pages.clamped(to: start..<start + 64)
    return bits(from: part.lowerBound - start, to: part.upperBound - start)
  }

  /// The bits of the numbers from `first` on that are below `last`.
  private static func bits(from first: UInt64, to last: UInt64) -> UInt64 {
    if last - first == 64 { return .max }
    return ((1 << (last - first)) - 1) << first
  }

  /// Makes a piece the one that was looked at last.
  @usableFromInline
  mutating func look(at wanted: UInt64) throws(MigrationError) {
    try settle()
    stored = try tree.find(wanted)
    (piece, bits, marks) = (wanted, stored?.first ?? 0, stored?.second ?? 0)
  }

  /// Stores the piece that was looked at last, so that the tree has all pages.
  private mutating func settle() throws(MigrationError) {
    defer { (piece, bits, marks, stored) = (Self.none, 0, 0, nil) }
    let now = WordTree.Words(first: bits, second: marks)
    guard now != stored ?? Self.nothing else { return }
    if stored == nil {
      try tree.insert(piece, now)
    } else if now == Self.nothing {
      try tree.remove()
    } else {
      try tree.replace(with: now)
    }
  }
}
