/// A set of pages of a large block.
///
/// The set is sparse: each region of 2 MiB with pages in the set takes 64 bytes and a number, so
/// memory use depends on the number of records that were read, never on an offset or length in a
/// record.
package struct PageSet {
  private static let regionWords: UInt64 = 8
  private static let regionPages = 64 * regionWords

  private var regions = RegionOrder()
  /// One bit for each page of a region.
  private var words: [UInt64] = []
  /// Indices in `words` of regions that are no longer in the set.
  private var free: [Int] = []
  private var recent: (region: UInt64, first: Int)?
  /// Pages in the set.
  package private(set) var count: UInt64 = 0

  package init() {}

  /// Number of regions that take memory.
  var regionCount: Int { regions.count }

  /// - Returns: whether the page was not in the set before.
  package mutating func insert(_ page: UInt64) -> Bool {
    let first = if let known = self.first(of: page) { known } else { addRegion(of: page) }
    let word = first + Int(page / 64 % Self.regionWords)
    let mask: UInt64 = 1 << (page % 64)
    guard words[word] & mask == 0 else { return false }
    words[word] |= mask
    count += 1
    return true
  }

  /// Removes all pages of a range of any length. A region is forgotten once it has no pages, so
  /// that ranges without pages cost nothing, and each inserted page pays for one removal.
  package mutating func remove(_ pages: Range<UInt64>) {
    guard let last = pages.last else { return }
    let range = pages.lowerBound / Self.regionPages...last / Self.regionPages
    recent = nil
    var next = range.lowerBound
    while let found = regions.first(atLeast: next), found.region <= range.upperBound {
      let start = found.region * Self.regionPages
      let isEmpty = clear(pages.clamped(to: start..<start + Self.regionPages), from: found.first)
      if isEmpty {
        regions.remove(found.region)
        free.append(found.first)
      }
      next = found.region + 1
    }
  }

  /// Number of pages of a range that are in the set.
  func count(in pages: Range<UInt64>) -> UInt64 {
    guard let last = pages.last else { return 0 }
    var found: UInt64 = 0
    var next = pages.lowerBound / Self.regionPages
    while let (region, first) = regions.first(atLeast: next), region <= last / Self.regionPages {
      for word in 0..<Self.regionWords {
        let start = (region * Self.regionWords + word) * 64
        let part = pages.clamped(to: start..<start + 64)
        if part.isEmpty { continue }
        let mask = Self.mask(part.lowerBound % 64, part.count)
        found += UInt64((words[first + Int(word)] & mask).nonzeroBitCount)
      }
      next = region + 1
    }
    return found
  }

  mutating func contains(_ page: UInt64) -> Bool {
    guard let first = first(of: page) else { return false }
    return words[first + Int(page / 64 % Self.regionWords)] >> (page % 64) & 1 == 1
  }

  /// Clears the bits of pages in one region.
  /// - Returns: whether no page is left in the region.
  private mutating func clear(_ pages: Range<UInt64>, from first: Int) -> Bool {
    var left: UInt64 = 0
    for word in 0..<Self.regionWords {
      let start = (pages.lowerBound / Self.regionPages * Self.regionWords + word) * 64
      let cleared = pages.clamped(to: start..<start + 64)
      let old = words[first + Int(word)]
      let kept = cleared.isEmpty ? old : old & ~Self.mask(cleared.lowerBound % 64, cleared.count)
      count -= UInt64((old & ~kept).nonzeroBitCount)
      words[first + Int(word)] = kept
      left |= kept
    }
    return left == 0
  }

  /// A mask of `count` bits from bit `bit` on.
  private static func mask(_ bit: UInt64, _ count: Int) -> UInt64 {
    count == 64 ? .max : ((1 << UInt64(count)) - 1) << bit
  }

  private mutating func addRegion(of page: UInt64) -> Int {
    let first: Int
    if let known = free.popLast() {
      first = known
    } else {
      first = words.count
      words.append(contentsOf: repeatElement(0, count: Int(Self.regionWords)))
    }
    let region = page / Self.regionPages
    regions.insert(region, first: first)
    recent = (region, first)
    return first
  }

  private mutating func first(of page: UInt64) -> Int? {
    let region = page / Self.regionPages
    if let recent, recent.region == region { return recent.first }
    guard let found = regions.first(atLeast: region), found.region == region else { return nil }
    recent = (region, found.first)
    return found.first
  }
}
