/// A set of pages for each of many RAM blocks, that is emptied in time with what it holds, whatever the
/// number of blocks.
package struct BlockPages {
  private var sets: [PageSet]
  /// The blocks that have pages.
  private var used: [Int] = []

  package init(blocks: Int) { sets = [PageSet](repeating: PageSet(), count: blocks) }

  /// - Returns: whether the page was not in the block's set before.
  package mutating func insert(_ page: UInt64, of block: Int) -> Bool {
    if sets[block].count == 0 { used.append(block) }
    return sets[block].insert(page)
  }

  package mutating func contains(_ page: UInt64, of block: Int) -> Bool {
    sets[block].contains(page)
  }

  /// The first page of a range that is in the block's set.
  package func first(in pages: Range<UInt64>, of block: Int) -> UInt64? {
    sets[block].first(in: pages)
  }

  package mutating func removeAll() {
    for block in used { sets[block] = PageSet() }
    used.removeAll(keepingCapacity: true)
  }
}
