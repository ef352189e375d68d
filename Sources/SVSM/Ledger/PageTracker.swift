/// Two bits about each page of a large, sparse memory: whether the page is present, and whether it
/// was touched in the current round.
///
/// Each 2 MiB region that a page came from takes 128 bytes, so memory grows with the number of
/// records seen, never with an address or a length in one of them.
@usableFromInline
package struct PageTracker: Sendable {
  /// 64-bit words of one bitmap of a region: 512 pages.
  @usableFromInline static var regionWords: Int { 8 }

  /// For each region, first the bitmap of present pages, then that of touched pages.
  @usableFromInline var words: [UInt64] = []
  /// The round that each region's bitmap of touched pages is from; in later rounds the bitmap is
  /// void.
  @usableFromInline var rounds: [UInt32] = []
  private var indexOfRegion: [UInt64: Int] = [:]
  /// The region that was looked up last, and its index; negative when no page came from it.
  @usableFromInline var last = (number: UInt64.max, index: -1)
  @usableFromInline var round: UInt32 = 0

  /// Pages present now.
  package private(set) var count: UInt64 = 0

  /// What is known about one page.
  @frozen @usableFromInline
  package struct Bits: Sendable {
    /// Whether the page is present.
    @usableFromInline package var isPresent: Bool
    /// Whether the page was touched in the current round.
    @usableFromInline package var isCurrent: Bool

    @inlinable init(isPresent: Bool, isCurrent: Bool) {
      (self.isPresent, self.isCurrent) = (isPresent, isCurrent)
    }
  }

  package init() {}

  /// The bits of one page.
  /// - Parameter address: address of the page, or of any byte in it.
  @inlinable
  package mutating func bits(of address: UInt64) -> Bits {
    if last.number != address >> 21 { find(address >> 21) }
    guard last.index >= 0 else { return Bits(isPresent: false, isCurrent: false) }
    return bits(of: address, in: last.index)
  }

  /// Notes that the page at `address` was touched in this round and is now present or withdrawn.
  /// - Returns: the bits of the page before this call.
  @discardableResult
  package mutating func note(_ address: UInt64, isPresent: Bool) -> Bits {
    if last.number != address >> 21 { find(address >> 21) }
    if last.index < 0 { create(address >> 21) }
    let index = last.index
    let known = bits(of: address, in: index)
    if rounds[index] != round {
      let first = index * 2 * Self.regionWords + Self.regionWords
      for word in first..<first + Self.regionWords { words[word] = 0 }
      rounds[index] = round
    }
    let (word, mask) = place(of: address, in: index)
    words[word + Self.regionWords] |= mask
    if known.isPresent != isPresent {
      words[word] ^= mask
      count = isPresent ? count &+ 1 : count &- 1
    }
    return known
  }

  /// Size of a region in bytes.
  package static let regionSize: UInt64 = 2 << 20

  /// Addresses of the regions that pages came from, ascending.
  package var regions: [UInt64] { indexOfRegion.keys.sorted().map { $0 * Self.regionSize } }

  /// The pages present now, as ranges of addresses that are ascending and not adjacent.
  /// - Parameter limit: largest number of ranges.
  /// - Returns: nil when there are more.
  package func presentRanges(limit: Int) -> [Range<UInt64>]? {
    var found: [Range<UInt64>] = []
    for (number, index) in indexOfRegion.sorted(by: { $0.key < $1.key }) {
      for page in 0..<UInt64(Self.regionWords * 64) {
        let address = number << 21 + page << 12
        guard bits(of: address, in: index).isPresent else { continue }
        if let last = found.last, last.upperBound == address {
          found[found.count - 1] = last.lowerBound..<address + 4096
        } else if found.count < limit {
          found.append(address..<address + 4096)
        } else {
          return nil
        }
      }
    }
    return found
  }

  /// Begins a new round: no page has been touched in it yet.
  package mutating func beginRound() { round &+= 1 }

  @inlinable
  func bits(of address: UInt64, in index: Int) -> Bits {
    let (word, mask) = place(of: address, in: index)
    return Bits(
      isPresent: words[word] & mask != 0,
      isCurrent: rounds[index] == round && words[word + Self.regionWords] & mask != 0)
  }

  @inlinable @inline(__always)
  func place(of address: UInt64, in index: Int) -> (word: Int, mask: UInt64) {
    let page = Int(truncatingIfNeeded: address &>> 12 & 511)
    return (
      index &* 2 &* Self.regionWords &+ page &>> 6, 1 &<< UInt64(truncatingIfNeeded: page & 63)
    )
  }

  /// Looks up the region with this number.
  @usableFromInline
  mutating func find(_ number: UInt64) { last = (number, indexOfRegion[number] ?? -1) }

  private mutating func create(_ number: UInt64) {
    last.index = rounds.count
    indexOfRegion[number] = rounds.count
    rounds.append(round)
    words.append(contentsOf: repeatElement(0, count: 2 * Self.regionWords))
  }
}
