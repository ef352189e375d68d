internal import Guest
internal import SEVSNP

/// A contiguous part of one RAM block.
struct BlockExtent: Equatable {
  var block: Int
  /// Offset in the block, in bytes.
  var offset: UInt64
  /// Size in bytes.
  var size: UInt64

  var end: UInt64 { offset + size }
}

/// A contiguous part of guest-physical memory and its place in a RAM block.
struct GuestExtent: Equatable {
  var gpa: UInt64
  var place: BlockExtent
}

/// Which parts of a guest's memory are in which page state, as guest-physical addresses and as
/// places in RAM blocks.
struct MemoryExtents {
  let map: GuestMap
  let states: PageStateMap

  /// The extents in states that `accepts` returns true for, by ascending guest-physical address.
  /// Each is in one mapped range and in one run of the page-state map.
  func extents(where accepts: (PageState) -> Bool) -> [GuestExtent] {
    map.extents(of: states.runs.filter { accepts($0.state) }.lazy.map { $0.gpa..<$0.end })
  }

  /// The same extents, each in one mapped range and as long as it can be: a map may have millions of
  /// runs that differ in the size of their pages or in their permissions only.
  func joinedExtents(where accepts: (PageState) -> Bool) -> [GuestExtent] {
    var ranges: [Range<UInt64>] = []
    for run in states.runs where accepts(run.state) {
      if let last = ranges.last, last.upperBound == run.gpa {
        ranges[ranges.count - 1] = last.lowerBound..<run.end
      } else {
        ranges.append(run.gpa..<run.end)
      }
    }
    return map.extents(of: ranges)
  }

  /// The memory that is shared with the host: all RAM blocks except the private pages and the
  /// sealed blocks, by block and ascending offset. Parts of other blocks that are not mapped belong
  /// to the host and are shared too.
  func shared(_ blocks: [Guest.RAMBlock]) -> [BlockExtent] {
    map.rest(of: blocks, without: joinedExtents(where: { $0.isPrivate }).lazy.map(\.place))
  }
}

extension GuestMap {
  /// The parts of RAM blocks that are not mapped, except for sealed blocks. They are always shared.
  func unmapped(of blocks: [Guest.RAMBlock]) -> [BlockExtent] {
    rest(
      of: blocks,
      without: ranges.lazy.map { BlockExtent(block: $0.block, offset: $0.offset, size: $0.size) })
  }

  /// All of the RAM blocks except `excluded` and the sealed blocks, by block and ascending offset.
  fileprivate func rest(
    of blocks: [Guest.RAMBlock], without excluded: some Sequence<BlockExtent>
  ) -> [BlockExtent] {
    let sealed = sealedBlocks(of: blocks)
    var isExcluded = [[BlockExtent]](repeating: [], count: blocks.count)
    for place in excluded { isExcluded[place.block].append(place) }
    var found: [BlockExtent] = []
    for (block, size) in blocks.map(\.size).enumerated() where !sealed.contains(block) {
      var next: UInt64 = 0
      for extent in isExcluded[block].sorted(by: { $0.offset < $1.offset }) {
        if extent.offset > next {
          found.append(BlockExtent(block: block, offset: next, size: extent.offset - next))
        }
        next = extent.end
      }
      if size > next { found.append(BlockExtent(block: block, offset: next, size: size - next)) }
    }
    return found
  }
}

extension GuestMap {
  /// The places of address ranges, split so that each extent is in one mapped range.
  /// - Parameter addresses: the ranges, in ascending order.
  func extents(of addresses: some Sequence<Range<UInt64>>) -> [GuestExtent] {
    var found: [GuestExtent] = []
    var index = 0
    for part in addresses {
      while index < ranges.count, ranges[index].end <= part.lowerBound { index += 1 }
      var next = index
      while next < ranges.count, ranges[next].gpa < part.upperBound {
        let range = ranges[next]
        let start = max(range.gpa, part.lowerBound)
        let end = min(range.end, part.upperBound)
        found.append(
          GuestExtent(
            gpa: start,
            place: BlockExtent(
              block: range.block, offset: range.offset + (start - range.gpa), size: end - start)))
        next += 1
      }
    }
    return found
  }
}
