/// Two bits about each page of a large, sparse memory: whether it is present, and whether it was
/// touched in the current round.
///
/// Sparse: 128 bytes are taken for each region of 2 MiB that a page came from, so memory follows
/// the number of records seen, never an address or a length in one of them.
package struct PageTracker: Sendable {
  /// Words of bits in a region: 512 pages.
  private static let regionWords = 8

  /// For each region first the words of pages present, then those of pages touched.
  private var words: [UInt64] = []
  /// The round in which each region's touched pages were touched; those of older rounds are none.
  private var rounds: [UInt32] = []
  private var indexOfRegion: [UInt64: Int] = [:]
  /// The region that was looked for last, and its index; nil when no page came from it.
  private var lastNumber: UInt64?
  private var lastIndex: Int?
  private var round: UInt32 = 0

  /// Pages present now.
  package private(set) var count: UInt64 = 0

  /// What is known of one page.
  package struct Bits: Sendable {
    package var isPresent: Bool
    package var isCurrent: Bool
  }

  package init() {}

  /// - Parameter address: of the page, or of any byte in it.
  package mutating func bits(of address: UInt64) -> Bits {
    guard let index = region(of: address, creating: false) else {
      return Bits(isPresent: false, isCurrent: false)
    }
    let (word, mask) = place(of: address, in: index)
    return Bits(
      isPresent: words[word] & mask != 0,
      isCurrent: rounds[index] == round && words[word + Self.regionWords] & mask != 0)
  }

  /// Notes that the page at `address` was touched in this round and is present or withdrawn now.
  package mutating func note(_ address: UInt64, isPresent: Bool) {
    guard let index = region(of: address, creating: true) else { return }
    if rounds[index] != round {
      let first = index * 2 * Self.regionWords + Self.regionWords
      for word in first..<first + Self.regionWords { words[word] = 0 }
      rounds[index] = round
    }
    let (word, mask) = place(of: address, in: index)
    let wasPresent = words[word] & mask != 0
    words[word + Self.regionWords] |= mask
    if isPresent {
      words[word] |= mask
      if !wasPresent { count += 1 }
    } else {
      words[word] &= ~mask
      if wasPresent { count -= 1 }
    }
  }

  /// Bytes of a region.
  package static let regionSize: UInt64 = 2 << 20

  /// Where the regions begin that a page came from, ascending.
  package var regions: [UInt64] { indexOfRegion.keys.sorted().map { $0 * Self.regionSize } }

  /// Begins a new round: no page has been touched in it yet.
  package mutating func beginRound() { round &+= 1 }

  private func place(of address: UInt64, in index: Int) -> (word: Int, mask: UInt64) {
    let page = Int(address >> 12 & 511)
    return (index * 2 * Self.regionWords + page >> 6, 1 << UInt64(page & 63))
  }

  private mutating func region(of address: UInt64, creating: Bool) -> Int? {
    let number = address >> 21
    if lastNumber != number { (lastNumber, lastIndex) = (number, indexOfRegion[number]) }
    if creating, lastIndex == nil {
      lastIndex = rounds.count
      indexOfRegion[number] = rounds.count
      rounds.append(round)
      words.append(contentsOf: repeatElement(0, count: 2 * Self.regionWords))
    }
    return lastIndex
  }
}
