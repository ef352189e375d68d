/// Which pages of a large block came.
///
/// Sparse: 64 bytes are taken for each region of 2 MiB that a page came from, so memory follows the
/// number of records seen, never an offset or a length in one of them.
struct PageSet {
  private static let regionWords: UInt64 = 8

  private var words: [UInt64] = []
  private var firstWord: [UInt64: Int] = [:]
  private var recent: (region: UInt64, first: Int)?
  /// Pages in the set.
  private(set) var count: UInt64 = 0

  /// - Returns: whether the page was not in the set before.
  mutating func insert(_ page: UInt64) -> Bool {
    let first: Int
    if let known = self.first(of: page) {
      first = known
    } else {
      first = words.count
      words.append(contentsOf: repeatElement(0, count: Int(Self.regionWords)))
      firstWord[page / 64 / Self.regionWords] = first
    }
    let word = first + Int(page / 64 % Self.regionWords)
    let mask: UInt64 = 1 << (page % 64)
    guard words[word] & mask == 0 else { return false }
    words[word] |= mask
    count += 1
    return true
  }

  mutating func remove(_ page: UInt64) {
    guard let first = first(of: page) else { return }
    let word = first + Int(page / 64 % Self.regionWords)
    let mask: UInt64 = 1 << (page % 64)
    guard words[word] & mask != 0 else { return }
    words[word] &= ~mask
    count -= 1
  }

  /// Removes all pages of a range, however long it is.
  mutating func remove(_ pages: Range<UInt64>) {
    guard let last = pages.last else { return }
    let regionPages = 64 * Self.regionWords
    let regions = pages.lowerBound / regionPages...last / regionPages
    // Whichever are fewer: regions of the range, or those that pages came from.
    if last / regionPages - pages.lowerBound / regionPages < UInt64(firstWord.count) {
      for region in regions { remove(pages, in: region) }
    } else {
      for region in Array(firstWord.keys) where regions.contains(region) {
        remove(pages, in: region)
      }
    }
  }

  private mutating func remove(_ pages: Range<UInt64>, in region: UInt64) {
    let regionPages = 64 * Self.regionWords
    guard firstWord[region] != nil else { return }
    for page in pages.clamped(to: region * regionPages..<(region + 1) * regionPages) {
      remove(page)
    }
  }

  mutating func contains(_ page: UInt64) -> Bool {
    guard let first = first(of: page) else { return false }
    return words[first + Int(page / 64 % Self.regionWords)] >> (page % 64) & 1 == 1
  }

  private mutating func first(of page: UInt64) -> Int? {
    let region = page / 64 / Self.regionWords
    if let recent, recent.region == region { return recent.first }
    guard let first = firstWord[region] else { return nil }
    recent = (region, first)
    return first
  }
}
