internal import Guest
internal import SEVSNP

/// A part of memory that is sent or withdrawn.
protocol MemoryStretch {
  var place: BlockExtent { get }

  /// - Parameter run: a part of `place`.
  func part(_ run: BlockExtent) -> Self
}

extension BlockExtent: MemoryStretch {
  var place: BlockExtent { self }

  func part(_ run: BlockExtent) -> BlockExtent { run }
}

/// A part of private memory that is sent or withdrawn.
struct PrivateStretch: MemoryStretch {
  var extent: GuestExtent
  /// Whether the pages are withdrawn, because they are no longer private or no longer validated.
  var isCancel = false

  var place: BlockExtent { extent.place }

  func part(_ run: BlockExtent) -> PrivateStretch {
    let gpa = extent.gpa + (run.offset - extent.place.offset)
    return PrivateStretch(extent: GuestExtent(gpa: gpa, place: run), isCancel: isCancel)
  }
}

/// What must be sent so that a guest that was sent before becomes what it is now.
struct MemoryChanges {
  private let present: MemoryExtents
  private let blocks: [Guest.RAMBlock]
  /// The page states when the guest was sent before.
  private let before: PageStateMap

  /// - Parameters:
  ///   - guest: the guest as it is now.
  ///   - states: the page states when it was sent before.
  init(of guest: GuestDescription, since states: PageStateMap) {
    present = MemoryExtents(map: guest.map, states: guest.pageStates)
    (blocks, before) = (guest.ramBlocks, states)
  }

  /// The memory whose state has changed. Whatever its pages hold, it was not sent in its present state.
  var converted: some Sequence<BlockExtent> {
    present.changes(since: before).lazy.map { $0.extent.place }
  }

  /// The private memory of which dirty pages are sent or withdrawn, by ascending guest-physical address.
  var privateStretches: some Sequence<PrivateStretch> {
    let valid = present.extents(where: { $0 == .validated }).lazy
      .map { PrivateStretch(extent: $0) }
    let withdrawn = present.changes(since: before).lazy.filter { $0.before == .validated }
      .map { PrivateStretch(extent: $0.extent, isCancel: true) }
    return MergedStretches(valid, withdrawn)
  }

  /// The shared memory of which dirty pages are sent, by block and ascending offset.
  var sharedStretches: some Sequence<BlockExtent> { present.shared(blocks) }
}

/// The stretches of two ascending sequences, in ascending order.
private struct MergedStretches<One: Sequence<PrivateStretch>, Other: Sequence<PrivateStretch>>:
  Sequence, IteratorProtocol
{
  private var one: One.Iterator
  private var other: Other.Iterator
  /// The stretch of each that comes next.
  private var first: PrivateStretch?
  private var second: PrivateStretch?

  init(_ one: One, _ other: Other) {
    (self.one, self.other) = (one.makeIterator(), other.makeIterator())
    first = self.one.next()
    second = self.other.next()
  }

  mutating func next() -> PrivateStretch? {
    guard let second, first.map({ second.extent.gpa < $0.extent.gpa }) ?? true else {
      defer { first = one.next() }
      return first
    }
    self.second = other.next()
    return second
  }
}
