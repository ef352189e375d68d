internal import Guest
internal import SEVSNP
internal import Wire

/// Finds the guest-physical addresses of private pages by their places in RAM blocks.
struct PrivatePlaces {
  /// For each block the validated extents, by ascending offset.
  private let extents: [[GuestExtent]]
  /// The extent in which the last page was.
  private var last = GuestExtent(gpa: 0, place: BlockExtent(block: 0, offset: 0, size: 0))

  /// - Parameter blocks: number of RAM blocks.
  init(_ validated: [GuestExtent], blocks: Int) {
    var extents = [[GuestExtent]](repeating: [], count: blocks)
    for extent in validated { extents[extent.place.block].append(extent) }
    self.extents = extents.map { $0.sorted { $0.place.offset < $1.place.offset } }
  }

  /// Whether no page is private.
  var isEmpty: Bool { extents.allSatisfy(\.isEmpty) }

  /// The extent that holds a page; nil for a page that is not private.
  mutating func extent(of block: Int, _ offset: UInt64) -> GuestExtent? {
    if last.place.block == block, last.place.offset <= offset, offset < last.place.end {
      return last
    }
    let candidates = extents[block]
    var (low, high) = (0, candidates.count)
    while low < high {
      let middle = (low + high) / 2
      if candidates[middle].place.end <= offset { low = middle + 1 } else { high = middle }
    }
    guard low < candidates.count, candidates[low].place.offset <= offset else { return nil }
    last = candidates[low]
    return last
  }
}
