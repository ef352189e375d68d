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

extension GuestExtent {
  /// - Parameter addresses: a part of `range`.
  fileprivate init(_ addresses: Range<UInt64>, in range: MappedRange) {
    gpa = addresses.lowerBound
    place = BlockExtent(
      block: range.block, offset: range.offset + (addresses.lowerBound - range.gpa),
      size: addresses.upperBound - addresses.lowerBound)
  }
}

/// Which parts of a guest's memory are in which page state, as guest-physical addresses and as
/// places in RAM blocks.
///
/// A map may have millions of runs, so no list of extents is kept: each is made when it is asked for.
struct MemoryExtents {
  let map: GuestMap
  let states: PageStateMap

  /// The extents in states that `accepts` returns true for, by ascending guest-physical address.
  /// Each is in one mapped range and in one run of the page-state map.
  func extents(
    where accepts: @escaping (PageState) -> Bool
  ) -> some Sequence<GuestExtent> {
    map.ranges.lazy.flatMap { [states] range in
      states.runs(in: range.addresses).lazy.filter { accepts($0.state) }
        .map { GuestExtent($0.addresses, in: range) }
    }
  }

  /// The same extents, each in one mapped range and as long as it can be.
  func joinedExtents(
    where accepts: @escaping (PageState) -> Bool
  ) -> some Sequence<GuestExtent> {
    map.ranges.lazy.flatMap { [states] range in
      states.ranges(in: range.addresses, where: accepts).lazy
        .map { GuestExtent($0, in: range) }
    }
  }

  /// The extent that holds a page, in one mapped range and in one run, and its state; nil for a page
  /// without an address.
  func extent(of block: Int, _ offset: UInt64) -> (extent: GuestExtent, state: PageState)? {
    guard let range = map.range(block: block, offset: offset),
      let run = states.run(at: range.gpa + (offset - range.offset))
    else { return nil }
    return (GuestExtent(run.addresses.clamped(to: range.addresses), in: range), run.state)
  }

  /// The extents whose state has changed since `before`, by ascending guest-physical address, and
  /// the state they had. Each is in one mapped range.
  func changes(
    since before: PageStateMap
  ) -> some Sequence<(extent: GuestExtent, before: PageState)> {
    map.ranges.lazy.flatMap { [states] range in
      before.changes(to: states, in: range.addresses).lazy
        .map { (extent: GuestExtent($0.range, in: range), before: $0.before) }
    }
  }

  /// The memory that is shared with the host: all RAM blocks except the private pages and the
  /// sealed blocks, by block and ascending offset. Parts of other blocks that are not mapped belong
  /// to the host and are shared too.
  func shared(_ blocks: [Guest.RAMBlock]) -> some Sequence<BlockExtent> {
    RemainingExtents(
      of: blocks, sealed: map.sealedBlocks(of: blocks),
      without: map.rangesByPlace.lazy.flatMap { [states] range in
        states.ranges(in: range.addresses, where: { $0.isPrivate }).lazy
          .map { GuestExtent($0, in: range).place }
      })
  }
}

extension GuestMap {
  /// The parts of RAM blocks that are not mapped, except for sealed blocks. They are always shared.
  func unmapped(of blocks: [Guest.RAMBlock]) -> some Sequence<BlockExtent> {
    RemainingExtents(
      of: blocks, sealed: sealedBlocks(of: blocks),
      without: rangesByPlace.lazy.map {
        BlockExtent(block: $0.block, offset: $0.offset, size: $0.size)
      })
  }
}

/// All of the RAM blocks except for some extents and the sealed blocks, by block and ascending
/// offset.
private struct RemainingExtents<Excluded: Sequence<BlockExtent>>: Sequence, IteratorProtocol {
  private let sizes: [UInt64]
  private let sealed: Set<Int>
  private var excluded: Excluded.Iterator
  /// The excluded extent that comes next.
  private var ahead: BlockExtent?
  /// What is left of the block, which may not exist.
  private var block = 0
  private var offset: UInt64 = 0

  /// - Parameter excluded: by block and ascending offset.
  init(of blocks: [Guest.RAMBlock], sealed: Set<Int>, without excluded: Excluded) {
    (sizes, self.sealed) = (blocks.map(\.size), sealed)
    self.excluded = excluded.makeIterator()
    ahead = self.excluded.next()
  }

  mutating func next() -> BlockExtent? {
    while block < sizes.count {
      var rest = BlockExtent(block: block, offset: offset, size: sizes[block] - offset)
      if let ahead, ahead.block == block {
        rest.size = ahead.offset - offset
        offset = ahead.end
        self.ahead = excluded.next()
      } else {
        block += 1
        offset = 0
      }
      if rest.size > 0, !sealed.contains(rest.block) { return rest }
    }
    return nil
  }
}
