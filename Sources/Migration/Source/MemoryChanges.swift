internal import Guest
internal import SEVSNP

/// A part of private memory that is sent or withdrawn.
struct PrivateStretch {
  var extent: GuestExtent
  /// Whether the pages are withdrawn, because they are no longer private or no longer validated.
  var isCancel = false
}

/// What must be sent so that a guest that was sent before becomes what it is now.
struct MemoryChanges {
  private let present: MemoryExtents
  private let blocks: [Guest.RAMBlock]
  /// The page states when the guest was sent before.
  private let before: PageStateMap
  /// Which pages are sent or withdrawn.
  private let log: DirtyLog

  /// - Parameters:
  ///   - guest: the guest as it is now.
  ///   - states: the page states when it was sent before.
  ///   - log: pages whose content has changed since.
  init(of guest: GuestDescription, since states: PageStateMap, _ log: DirtyLog) {
    present = MemoryExtents(map: guest.map, states: guest.pageStates)
    (blocks, before) = (guest.ramBlocks, states)
    var log = log
    // Whatever these pages hold, it was not sent in their present state.
    for change in present.changes(since: before) { log.mark(change.extent.place) }
    self.log = log
  }

  /// The parts of private memory that are sent or withdrawn, by ascending guest-physical address.
  var privateRuns: some Sequence<PrivateStretch> {
    let valid = present.extents(where: { $0 == .validated }).lazy
      .map { PrivateStretch(extent: $0) }
    let withdrawn = present.changes(since: before).lazy.filter { $0.before == .validated }
      .map { PrivateStretch(extent: $0.extent, isCancel: true) }
    return MergedStretches(valid, withdrawn).lazy.flatMap { [log] stretch in
      let extent = stretch.extent
      return log.runs(in: extent.place).lazy.map { run in
        PrivateStretch(
          extent: GuestExtent(gpa: extent.gpa + (run.offset - extent.place.offset), place: run),
          isCancel: stretch.isCancel)
      }
    }
  }

  /// The parts of shared memory that are sent, by block and ascending offset.
  var sharedRuns: some Sequence<BlockExtent> {
    present.shared(blocks).lazy.flatMap { [log] in log.runs(in: $0) }
  }
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
