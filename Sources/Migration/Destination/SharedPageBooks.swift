internal import Errors
internal import Guest
internal import PageSets
internal import QEMUStream
internal import SEVSNP
internal import SVSM
internal import Wire

/// The VMM's own record of which pages came as shared memory, for each block.
///
/// It lets the destination tell a missing shared page from one that came, and a shared page at a
/// private address from a private one. A page that was shared while the guest ran may be private
/// when the guest is paused: content of the last epoch is compared with the page states, and
/// content of earlier epochs is overwritten or set to zero.
struct SharedPageBooks: ~Copyable {
  /// The pages that hold shared content.
  private var shared = PageSet()
  /// The pages that came as private pages or were withdrawn, at any time.
  private var other = PageSet()
  /// Whether `other` has any page. Often none has, so it is not looked up for each shared page.
  private var hasOther = false
  /// Pages for which shared content came in the open epoch; nil in the first epoch, where `shared`
  /// tells the same.
  private var current: PageSet?
  private let blocks: [Guest.RAMBlock]

  init(blocks: [Guest.RAMBlock]) { self.blocks = blocks }

  /// Begins the next epoch.
  mutating func beginEpoch() {
    if current == nil { current = PageSet() } else { current?.removeAll() }
  }

  /// For each block: the pages that hold shared content, as ranges of offsets; nil when there are
  /// more than `limit` ranges.
  /// - Throws: `OUTPUT-CREATE`, `IO-WRITE`, `IO-READ` for the temporary file of a page set, as all of
  ///   the following.
  mutating func present(limit: Int) throws(MigrationError) -> [[Range<UInt64>]]? {
    var left = limit
    var found: [[Range<UInt64>]] = []
    for block in blocks.indices {
      guard let ranges = try shared.ranges(of: block, limit: left) else { return nil }
      left -= ranges.count
      found.append(ranges.map { $0.lowerBound * Page.size64..<$0.upperBound * Page.size64 })
    }
    return found
  }

  /// Notes that shared content of a page came.
  /// - Returns: whether any record came for the page before.
  mutating func noteShared(_ block: Int, _ offset: UInt64) throws(MigrationError) -> Bool {
    let page = offset / Page.size64
    _ = try current?.insert(page, of: block)
    if try !shared.insert(page, of: block) { return true }
    guard hasOther else { return false }
    return try other.contains(page, of: block)
  }

  /// Notes that a page came as a private page, or was withdrawn.
  /// - Returns: whether any record came for the page before, and whether shared content of it came
  ///   in the open epoch.
  mutating func notePrivate(
    _ block: Int, _ offset: UInt64
  ) throws(MigrationError) -> (wasTouched: Bool, isSharedNow: Bool) {
    let page = offset / Page.size64
    let wasShared = try shared.contains(page, of: block)
    if wasShared { try shared.remove(page..<page + 1, of: block) }
    hasOther = true
    let isFirst = try other.insert(page, of: block)
    return (wasShared || !isFirst, try current?.contains(page, of: block) ?? wasShared)
  }

  /// Compares the pages with the trusted page states: every shared page must have come as shared
  /// memory, and no private page in the last epoch.
  /// - Returns: number of shared pages.
  /// - Throws: `MAP-SHARED-AT-PRIVATE`, `MAP-MISSING-PAGE`.
  mutating func check(
    _ extents: MemoryExtents, at offset: UInt64
  ) throws(MigrationError) -> UInt64 {
    for extent in extents.joinedExtents(where: { $0.isPrivate }) {
      let (place, gpa) = (extent.place, extent.gpa)
      if let page = try latest(in: place) {
        throw MigrationError(
          .mapSharedAtPrivate, "record of shared memory is for a private page", in: .ram,
          at: offset, got: "gpa 0x\(String(gpa + (page - place.offset), radix: 16))")
      }
    }
    return try requireShared(extents.shared(blocks), at: offset)
  }

  /// The offset of the first page of an extent for which shared content came in the last epoch.
  private mutating func latest(in extent: BlockExtent) throws(MigrationError) -> UInt64? {
    guard current != nil else { return try shared.first(in: extent) }
    return try current?.first(in: extent)
  }

  /// Checks that every page without a guest-physical address came as shared memory, which must hold
  /// whatever the page states are.
  /// - Throws: `MAP-MISSING-PAGE`.
  mutating func checkUnmapped(by map: GuestMap, at offset: UInt64) throws(MigrationError) {
    _ = try requireShared(map.unmapped(of: blocks), at: offset)
  }

  private mutating func requireShared(
    _ extents: some Sequence<BlockExtent>, at offset: UInt64
  ) throws(MigrationError) -> UInt64 {
    var pages: UInt64 = 0
    for extent in extents {
      let range = extent.offset / Page.size64..<extent.end / Page.size64
      pages += UInt64(range.count)
      if let page = try shared.firstMissing(in: range, of: extent.block) {
        throw MigrationError(
          .mapMissingPage, "a shared page is missing", in: .ram, at: offset,
          got: "\(blocks[extent.block].name) offset \(Hex.number(page * Page.size64))")
      }
    }
    return pages
  }

  /// Calls `body` with each unaccepted page that holds shared content of an epoch before the last.
  mutating func leftovers(
    _ extents: MemoryExtents, _ body: (BlockExtent) throws(MigrationError) -> Void
  ) throws(MigrationError) {
    guard current != nil else { return }
    for extent in extents.joinedExtents(where: { $0 == .unaccepted }) {
      var rest = extent.place
      while let page = try shared.first(in: rest) {
        try body(BlockExtent(block: rest.block, offset: page, size: Page.size64))
        rest.size = rest.end - (page + Page.size64)
        rest.offset = page + Page.size64
      }
    }
  }
}

extension PageSet {
  /// The offset of the first page of an extent that is in the set. Only pages that came are searched:
  /// an extent may be as long as the address space, although it costs the stream one run only.
  fileprivate mutating func first(in extent: BlockExtent) throws(MigrationError) -> UInt64? {
    let pages = extent.offset / Page.size64..<extent.end / Page.size64
    return try first(in: pages, of: extent.block).map { $0 * Page.size64 }
  }
}
