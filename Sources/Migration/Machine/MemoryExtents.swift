internal import Guest
internal import SEVSNP

/// A stretch of one RAM block.
struct BlockExtent: Equatable {
  var block: Int
  /// Bytes from the start of the block.
  var offset: UInt64
  /// Bytes.
  var size: UInt64

  var end: UInt64 { offset + size }
}

/// A stretch of guest-physical memory and where it lies in the RAM blocks.
struct GuestExtent: Equatable {
  var gpa: UInt64
  var place: BlockExtent
}

/// Which stretches of a guest's memory are in which state, in RAM blocks as well as in
/// guest-physical addresses.
struct MemoryExtents {
  let map: GuestMap
  let states: PageStateMap

  /// The stretches in states that `accepts` takes, by ascending guest-physical address; each lies
  /// in one mapped range and in one run.
  func extents(where accepts: (PageState) -> Bool) -> [GuestExtent] {
    map.extents(of: states.runs.filter { accepts($0.state) }.lazy.map { $0.gpa..<$0.end })
  }

  /// What is shared with the host: all of the RAM blocks but the private pages and the blocks that
  /// are sealed, by block and ascending offset. Parts of other blocks that no address reaches are the
  /// host's, hence shared.
  func shared(_ blocks: [Guest.RAMBlock]) -> [BlockExtent] {
    map.rest(of: blocks, without: extents(where: { $0.isPrivate }).lazy.map(\.place))
  }
}

extension GuestMap {
  /// What of the RAM blocks no address reaches, but the blocks that are sealed: shared in any case.
  func unmapped(of blocks: [Guest.RAMBlock]) -> [BlockExtent] {
    rest(
      of: blocks,
      without: ranges.lazy.map { BlockExtent(block: $0.block, offset: $0.offset, size: $0.size) })
  }

  /// All of the RAM blocks but `excluded` and the blocks that are sealed, by block and ascending offset.
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
  /// Where addresses lie, in pieces that each lie in one mapped range.
  /// - Parameter addresses: in ascending order.
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
