internal import Bytes
internal import Guest
internal import SEVSNP
internal import SVSM

/// The VMM's own books of which pages came as shared memory, in which block.
///
/// With them the destination tells a missing shared page from one that came, and a shared page at a
/// private address from a private one.
struct SharedPageBooks {
  private var trackers: [PageTracker]
  private let blocks: [Guest.RAMBlock]

  init(blocks: [Guest.RAMBlock]) {
    self.blocks = blocks
    trackers = [PageTracker](repeating: PageTracker(), count: blocks.count)
  }

  /// Notes that content for a page came.
  /// - Parameter isShared: as shared memory, or as a private page.
  /// - Returns: whether anything came for the page before.
  mutating func note(_ block: Int, _ offset: UInt64, isShared: Bool) -> Bool {
    let wasTouched = trackers[block].bits(of: offset).isCurrent
    trackers[block].note(offset, isPresent: isShared)
    return wasTouched
  }

  /// Holds the books against the trusted page states: every shared page came as shared memory, no
  /// private one did.
  /// - Throws: `MAP-SHARED-AT-PRIVATE`, `MAP-MISSING-PAGE`.
  mutating func check(_ extents: MemoryExtents, at offset: UInt64) throws(MigrationError) {
    let regions = trackers.map(\.regions)
    for extent in extents.extents(where: { $0.isPrivate }) {
      let (place, gpa) = (extent.place, extent.gpa)
      if let page = firstShared(in: place, regions: regions[place.block]) {
        throw MigrationError(
          .mapSharedAtPrivate, "shared content came for a private page", section: "ram",
          at: offset, got: "gpa 0x\(String(gpa + (page - place.offset), radix: 16))")
      }
    }
    for extent in extents.shared(blocks) {
      for page in stride(from: 0, to: extent.size, by: 4096)
      where !trackers[extent.block].bits(of: extent.offset + page).isPresent {
        throw MigrationError(
          .mapMissingPage, "a shared page never came", section: "ram", at: offset,
          got: "\(blocks[extent.block].name) offset 0x\(String(extent.offset + page, radix: 16))")
      }
    }
  }

  /// The first page of an extent that came as shared memory. Looks only where pages came at all: an
  /// extent may be as long as an address can say, and costs its stream one run.
  /// - Parameter regions: of the tracker of the extent's block.
  private mutating func firstShared(in extent: BlockExtent, regions: [UInt64]) -> UInt64? {
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
      for page in stride(from: start, to: end, by: 4096)
      where trackers[extent.block].bits(of: page).isPresent {
        return page
      }
      low += 1
    }
    return nil
  }
}
