/// A set of pages of a large block.
///
/// The set is sparse: a region of 2 MiB takes memory only while it has pages in the set, 16 bytes
/// with few or all of them and 64 more with many. So memory use is a small multiple of the bytes of the
/// records that were read, and never depends on an offset or length in a record.
package struct PageSet {
  /// Pages of a region (of 4 KiB, they are 2 MiB), and 64-bit words with a bit for each of them.
  @usableFromInline static var regionPages: UInt64 { 512 }
  @usableFromInline static var regionWords: UInt64 { 8 }

  private var regions = RegionOrder()
  /// One bit for each page of a region with many pages.
  @usableFromInline var words: [UInt64] = []
  /// Indices in `words` of regions that no longer have bits there.
  private var free: [Int] = []
  /// The region that was looked up last, and its pages; none when it is not in the set.
  private var recent = (region: UInt64.max, pages: RegionPages.none)
  /// The region with many pages that was looked up last, and the index of its bits. Most pages are of the
  /// same region as the one before, so this is looked at first, in the caller's own code.
  @usableFromInline var dense = (region: UInt64.max, first: 0)
  /// Pages in the set.
  @usableFromInline package internal(set) var count: UInt64 = 0

  package init() {}

  /// - Returns: whether the page was not in the set before.
  @inlinable
  package mutating func insert(_ page: UInt64) -> Bool {
    if page / Self.regionPages == dense.region { return setBit(of: page, from: dense.first) }
    return insertElsewhere(page)
  }

  /// Inserts a page of another region than the dense one.
  @usableFromInline
  mutating func insertElsewhere(_ page: UInt64) -> Bool {
    let region = page / Self.regionPages
    let number = page % Self.regionPages
    guard let place = regions.place(of: region) else {
      recent = (region, RegionPages(number))
      regions.insert(region, recent.pages)
      count += 1
      return true
    }
    recent = regions[place]
    switch recent.pages.form {
    case .many(let first):
      dense = (region, first)
      return setBit(of: page, from: first)
    case .all: return false
    case .few(var numbers):
      if numbers.contains(number) { return false }
      guard !numbers.isFull else {
        let first = makeBits(numbers.bits(ofWord:))
        recent.pages = RegionPages(.many(first: first))
        regions[place].pages = recent.pages
        dense = (region, first)
        return setBit(of: page, from: first)
      }
      numbers.append(number)
      recent.pages = RegionPages(.few(numbers))
      regions[place].pages = recent.pages
      count += 1
      return true
    }
  }

  /// Removes all pages of a range of any length. A region is forgotten once it has no pages, so
  /// that ranges without pages cost nothing, and each inserted page pays for one removal.
  package mutating func remove(_ pages: Range<UInt64>) {
    recent = (.max, .none)
    dense = (.max, 0)
    var next = pages.lowerBound / Self.regionPages
    while let place = regions.first(atLeast: next) {
      let (region, held) = regions[place]
      guard let numbers = RegionPages.numbers(of: pages, in: region) else { return }
      switch held.form {
      case .few(let few):
        let kept = few.removing(numbers)
        count -= UInt64(few.count - kept.count)
        if kept.count > 0 {
          regions[place].pages = RegionPages(.few(kept))
        } else {
          regions.remove(place)
        }
      case .many(let first):
        if clear(numbers, from: first) {
          regions.remove(place)
          free.append(first)
        }
      case .all:
        if UInt64(numbers.count) == Self.regionPages {
          count -= Self.regionPages
          regions.remove(place)
        } else {
          let first = makeBits { _ in .max }
          regions[place].pages = RegionPages(.many(first: first))
          _ = clear(numbers, from: first)
        }
      }
      next = region + 1
    }
  }

  @inlinable
  package mutating func contains(_ page: UInt64) -> Bool {
    if count == 0 { return false }
    if page / Self.regionPages == dense.region {
      return words[dense.first + Self.word(of: page)] >> (page % 64) & 1 == 1
    }
    return containsElsewhere(page)
  }

  /// Whether a page of another region than the dense one is in the set.
  @usableFromInline
  mutating func containsElsewhere(_ page: UInt64) -> Bool {
    let region = page / Self.regionPages
    if recent.region != region {
      recent = (region, regions.place(of: region).map { regions[$0].pages } ?? .none)
    }
    switch recent.pages.form {
    case .few(let numbers): return numbers.contains(page % Self.regionPages)
    case .many(let first):
      dense = (region, first)
      return words[first + Self.word(of: page)] >> (page % 64) & 1 == 1
    case .all: return true
    }
  }

  // MARK: Ranges

  /// Number of pages of a range that are in the set.
  package func count(in pages: Range<UInt64>) -> UInt64 {
    var found: UInt64 = 0
    forEachWord(in: pages) { _, bits in
      found += UInt64(bits.nonzeroBitCount)
      return true
    }
    return found
  }

  /// The first page of a range that is in the set. Only regions with pages are searched.
  package func first(in pages: Range<UInt64>) -> UInt64? {
    var found: UInt64?
    forEachWord(in: pages) { start, bits in
      found = start + UInt64(bits.trailingZeroBitCount)
      return false
    }
    return found
  }

  /// The pages, as ranges that are ascending and not adjacent.
  /// - Parameter limit: largest number of ranges.
  /// - Returns: nil when there are more.
  package func ranges(limit: Int) -> [Range<UInt64>]? {
    var found: [Range<UInt64>] = []
    forEachWord(in: 0..<UInt64.max) { start, bits in
      var left = bits
      while left != 0, found.count <= limit {
        let first = start + UInt64(left.trailingZeroBitCount)
        let count = (~(left >> (first - start))).trailingZeroBitCount
        if let last = found.last, last.upperBound == first {
          found[found.count - 1] = last.lowerBound..<first + UInt64(count)
        } else {
          found.append(first..<first + UInt64(count))
        }
        left &= ~Self.mask(of: first - start..<first - start + UInt64(count), inWord: 0)
      }
      return found.count <= limit
    }
    return found.count <= limit ? found : nil
  }

  /// Calls `body` for each 64 pages, some of which are in a range and in the set, in order: with the
  /// number of the first of the 64, and a bit for each of those. It ends once `body` returns false.
  private func forEachWord(in pages: Range<UInt64>, _ body: (UInt64, UInt64) -> Bool) {
    var next = pages.lowerBound / Self.regionPages
    while let place = regions.first(atLeast: next) {
      let (region, held) = regions[place]
      guard let numbers = RegionPages.numbers(of: pages, in: region) else { return }
      for word in numbers.lowerBound / 64...(numbers.upperBound - 1) / 64 {
        let known =
          switch held.form {
          case .few(let few): few.bits(ofWord: word)
          case .many(let first): words[first + Int(word)]
          case .all: UInt64.max
          }
        let bits = known & Self.mask(of: numbers, inWord: word)
        guard bits != 0 else { continue }
        guard body(region * Self.regionPages + word * 64, bits) else { return }
      }
      next = region + 1
    }
  }

  // MARK: Bits

  /// The index of a page's word among those of its region.
  @inlinable static func word(of page: UInt64) -> Int { Int(page / 64 % regionWords) }

  /// - Returns: whether the bit was not set before.
  @inlinable
  mutating func setBit(of page: UInt64, from first: Int) -> Bool {
    let word = first + Self.word(of: page)
    let mask: UInt64 = 1 << (page % 64)
    guard words[word] & mask == 0 else { return false }
    words[word] |= mask
    count += 1
    if words[word] == .max { noteWhole(page / Self.regionPages, first) }
    return true
  }

  /// Gives the bits of a region up once all of them are set.
  /// - Parameter first: the index of the bits.
  @usableFromInline
  mutating func noteWhole(_ region: UInt64, _ first: Int) {
    guard words[first..<first + Int(Self.regionWords)].allSatisfy({ $0 == .max }),
      let place = regions.place(of: region)
    else { return }
    regions[place].pages = RegionPages(.all)
    free.append(first)
    dense = (.max, 0)
    recent = regions[place]
  }

  /// Clears the bits of pages in one region.
  /// - Returns: whether no page is left in the region.
  private mutating func clear(_ numbers: Range<UInt64>, from first: Int) -> Bool {
    var left: UInt64 = 0
    for word in 0..<Self.regionWords {
      let old = words[first + Int(word)]
      let kept = old & ~Self.mask(of: numbers, inWord: word)
      count -= UInt64((old & ~kept).nonzeroBitCount)
      words[first + Int(word)] = kept
      left |= kept
    }
    return left == 0
  }

  /// The bits that pages of a region have in one of its words.
  private static func mask(of numbers: Range<UInt64>, inWord word: UInt64) -> UInt64 {
    let part = numbers.clamped(to: word * 64..<(word + 1) * 64)
    if part.count == 64 { return .max }
    return ((1 << UInt64(part.count)) - 1) << (part.lowerBound % 64)
  }

  /// Makes bits for the pages of a region.
  /// - Parameter bits: the bits of each of its words.
  /// - Returns: the index of the bits.
  private mutating func makeBits(_ bits: (UInt64) -> UInt64) -> Int {
    let first: Int
    if let known = free.popLast() {
      first = known
    } else {
      first = words.count
      words.append(contentsOf: repeatElement(0, count: Int(Self.regionWords)))
    }
    for word in 0..<Self.regionWords { words[first + Int(word)] = bits(word) }
    return first
  }
}
