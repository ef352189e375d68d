/// Two bits about each page of a large, sparse memory: whether it is present, and whether it was
/// touched in the current round.
///
/// Sparse: memory is taken only for the regions of guest-physical memory that pages came from, so
/// it follows the number of records seen, never an address or a length in one of them.
public struct PageTracker: Sendable {
  /// 2^15 pages, 128 MiB of guest-physical memory.
  private struct Region: Sendable {
    var present = [UInt64](repeating: 0, count: 512)
    var current = [UInt64](repeating: 0, count: 512)
  }

  private var regions: [Region] = []
  private var indexOfRegion: [UInt64: Int] = [:]
  private var lastNumber: UInt64?
  private var lastIndex = 0

  /// Pages present now.
  public private(set) var count: UInt64 = 0

  /// What is known of one page.
  public struct Bits: Sendable {
    public var isPresent: Bool
    public var isCurrent: Bool
  }

  public init() {}

  /// - Parameter gpa: address of the page.
  public mutating func bits(of gpa: UInt64) -> Bits {
    guard let index = region(of: gpa, creating: false) else {
      return Bits(isPresent: false, isCurrent: false)
    }
    let (word, mask) = place(of: gpa)
    return Bits(
      isPresent: regions[index].present[word] & mask != 0,
      isCurrent: regions[index].current[word] & mask != 0)
  }

  /// Notes that `gpa` was touched in this epoch and is present or withdrawn now.
  public mutating func note(_ gpa: UInt64, isPresent: Bool) {
    guard let index = region(of: gpa, creating: true) else { return }
    let (word, mask) = place(of: gpa)
    let wasPresent = regions[index].present[word] & mask != 0
    regions[index].current[word] |= mask
    if isPresent {
      regions[index].present[word] |= mask
      if !wasPresent { count += 1 }
    } else {
      regions[index].present[word] &= ~mask
      if wasPresent { count -= 1 }
    }
  }

  /// Begins a new epoch: no page has been touched in it yet.
  public mutating func beginEpoch() {
    for index in regions.indices {
      for word in 0..<512 { regions[index].current[word] = 0 }
    }
  }

  private func place(of gpa: UInt64) -> (word: Int, mask: UInt64) {
    let page = Int(gpa >> 12 & 0x7fff)
    return (page >> 6, 1 << UInt64(page & 63))
  }

  private mutating func region(of gpa: UInt64, creating: Bool) -> Int? {
    let number = gpa >> 27
    if lastNumber == number { return lastIndex }
    if let index = indexOfRegion[number] {
      (lastNumber, lastIndex) = (number, index)
      return index
    }
    guard creating else { return nil }
    regions.append(Region())
    indexOfRegion[number] = regions.count - 1
    (lastNumber, lastIndex) = (number, regions.count - 1)
    return lastIndex
  }
}
