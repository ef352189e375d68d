internal import Guest
internal import SEVSNP
internal import Wire

/// Finds the guest-physical addresses of private pages by their places in RAM blocks.
struct PrivatePlaces {
  private let extents: MemoryExtents
  /// Whether no page is private.
  let isEmpty: Bool
  /// The extent in which the last page was that has an address, and whether it is validated.
  private var last = GuestExtent(gpa: 0, place: BlockExtent(block: 0, offset: 0, size: 0))
  private var isValidated = false

  init(_ extents: MemoryExtents) {
    self.extents = extents
    isEmpty = !extents.states.runs.contains { $0.state == .validated }
  }

  /// The validated extent that holds a page; nil for any other page.
  mutating func extent(of block: Int, _ offset: UInt64) -> GuestExtent? {
    if last.place.block != block || offset < last.place.offset || last.place.end <= offset {
      guard let found = extents.extent(of: block, offset) else { return nil }
      (last, isValidated) = (found.extent, found.state == .validated)
    }
    return isValidated ? last : nil
  }
}
