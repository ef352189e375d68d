internal import Errors
internal import Guest
internal import SEVSNP
internal import SVSM
internal import Wire

/// The VMM's own record of which pages came as shared memory, for each block.
///
/// It lets the destination tell a missing shared page from one that came, and a shared page at a
/// private address from a private one. A page that was shared while the guest ran may be private
/// when the guest is paused: content of the last epoch is compared with the page states, and
/// content of earlier epochs is overwritten or set to zero.
struct SharedPageBooks {
  /// For each block: whether a page holds shared content, and whether any record came for it.
  private var trackers: [PageTracker]
  /// Pages for which shared content came in the open epoch; nil in the first epoch, where
  /// `trackers` tells the same.
  private var current: [PageTracker]?
  private let blocks: [Guest.RAMBlock]

  init(blocks: [Guest.RAMBlock]) {
    self.blocks = blocks
    trackers = [PageTracker](repeating: PageTracker(), count: blocks.count)
  }

  /// Begins the next epoch.
  mutating func beginEpoch() {
    current = [PageTracker](repeating: PageTracker(), count: blocks.count)
  }

  /// For each block: the pages that hold shared content, as ranges of offsets; nil when there are
  /// more than `limit` ranges.
  func present(limit: Int) -> [[Range<UInt64>]]? {
    var left = limit
    var found: [[Range<UInt64>]] = []
    for tracker in trackers {
      guard let ranges = tracker.presentRanges(limit: left) else { return nil }
      left -= ranges.count
      found.append(ranges)
    }
    return found
  }

  /// Notes that shared content of a page came.
  /// - Returns: whether any record came for the page before.
  mutating func noteShared(_ block: Int, _ offset: UInt64) -> Bool {
    current?[block].note(offset, isPresent: true)
    return trackers[block].note(offset, isPresent: true).isCurrent
  }

  /// Notes that a page came as a private page, or was withdrawn.
  /// - Returns: whether any record came for the page before, and whether shared content of it came
  ///   in the open epoch.
  mutating func notePrivate(
    _ block: Int, _ offset: UInt64
  ) -> (wasTouched: Bool, isSharedNow: Bool) {
    let known = trackers[block].note(offset, isPresent: false)
    let isSharedNow = current?[block].bits(of: offset).isPresent ?? known.isPresent
    return (known.isCurrent, isSharedNow)
  }

  /// Compares the pages with the trusted page states: every shared page must have come as shared
  /// memory, and no private page in the last epoch.
  /// - Returns: number of shared pages.
  /// - Throws: `MAP-SHARED-AT-PRIVATE`, `MAP-MISSING-PAGE`.
  mutating func check(
    _ extents: MemoryExtents, at offset: UInt64
  ) throws(MigrationError) -> UInt64 {
    var latest = current ?? trackers
    let regions = latest.map(\.regions)
    for extent in extents.extents(where: { $0.isPrivate }) {
      let (place, gpa) = (extent.place, extent.gpa)
      if let page = Self.first(&latest[place.block], in: place, regions: regions[place.block]) {
        throw MigrationError(
          .mapSharedAtPrivate, "record of shared memory is for a private page", in: .ram,
          at: offset, got: "gpa 0x\(String(gpa + (page - place.offset), radix: 16))")
      }
    }
    return try requireShared(extents.shared(blocks), at: offset)
  }

  /// Checks that every page without a guest-physical address came as shared memory, which must hold
  /// whatever the page states are.
  /// - Throws: `MAP-MISSING-PAGE`.
  mutating func checkUnmapped(by map: GuestMap, at offset: UInt64) throws(MigrationError) {
    _ = try requireShared(map.unmapped(of: blocks), at: offset)
  }

  private mutating func requireShared(
    _ extents: [BlockExtent], at offset: UInt64
  ) throws(MigrationError) -> UInt64 {
    var pages: UInt64 = 0
    for extent in extents {
      pages += extent.size / Page.size64
      for page in stride(from: 0, to: extent.size, by: Page.size)
      where !trackers[extent.block].bits(of: extent.offset + page).isPresent {
        throw MigrationError(
          .mapMissingPage, "a shared page is missing", in: .ram, at: offset,
          got: "\(blocks[extent.block].name) offset 0x\(String(extent.offset + page, radix: 16))")
      }
    }
    return pages
  }

  /// Calls `body` with each unaccepted page that holds shared content of an epoch before the last.
  mutating func leftovers(
    _ extents: MemoryExtents, _ body: (BlockExtent) throws(MigrationError) -> Void
  ) throws(MigrationError) {
    guard current != nil else { return }
    let regions = trackers.map(\.regions)
    for extent in extents.extents(where: { $0 == .unaccepted }) {
      var rest = extent.place
      while let page = Self.first(&trackers[rest.block], in: rest, regions: regions[rest.block]) {
        try body(BlockExtent(block: rest.block, offset: page, size: Page.size64))
        rest.size = rest.end - (page + Page.size64)
        rest.offset = page + Page.size64
      }
    }
  }

  /// The first page of an extent that a tracker marks as present. Only regions that pages came from
  /// are searched: an extent may be as long as the address space, although it costs the stream one
  /// run only.
  /// - Parameter regions: regions of the tracker, which is that of the extent's block.
  private static func first(
    _ tracker: inout PageTracker, in extent: BlockExtent, regions: [UInt64]
  ) -> UInt64? {
    var low = 0
    var high = regions.count
    while low < high {
      let middle = (low + high) / 2
      if regions[middle] + PageTracker.regionSize <= extent.offset {
        low = middle + 1
      } else {
        high = middle
      }
    }
    while low < regions.count, regions[low] < extent.end {
      let start = max(regions[low], extent.offset)
      let end = min(regions[low] + PageTracker.regionSize, extent.end)
      for page in stride(from: start, to: end, by: Page.size)
      where tracker.bits(of: page).isPresent {
        return page
      }
      low += 1
    }
    return nil
  }
}
