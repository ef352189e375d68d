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
  /// Private memory by ascending guest-physical address.
  let `private`: [PrivateStretch]
  /// Shared memory by block and ascending offset.
  let shared: [BlockExtent]
  /// Which pages of both are sent or withdrawn.
  let log: DirtyLog

  /// - Parameters:
  ///   - guest: the guest as it is now.
  ///   - states: the page states when it was sent before.
  ///   - log: pages whose content has changed since.
  init(of guest: GuestDescription, since states: PageStateMap, _ log: DirtyLog) {
    let (map, before, now) = (guest.map, states, guest.pageStates)
    let present = MemoryExtents(map: map, states: now)
    var log = log
    var stretches = present.extents(where: { $0 == .validated }).map { PrivateStretch(extent: $0) }
    for change in before.changes(to: now) {
      // Whatever these pages hold, it was not sent in their present state.
      let places = map.extents(of: [change.range])
      for extent in places { log.mark(extent.place) }
      if change.before == .validated {
        stretches += places.map { PrivateStretch(extent: $0, isCancel: true) }
      }
    }
    stretches.sort { $0.extent.gpa < $1.extent.gpa }
    `private` = stretches
    shared = present.shared(guest.ramBlocks)
    self.log = log
  }

  /// The parts of private memory that are sent or withdrawn.
  var privateRuns: some Sequence<PrivateStretch> {
    `private`.lazy.flatMap { [log] stretch in
      let extent = stretch.extent
      return log.runs(in: extent.place).lazy.map { run in
        PrivateStretch(
          extent: GuestExtent(gpa: extent.gpa + (run.offset - extent.place.offset), place: run),
          isCancel: stretch.isCancel)
      }
    }
  }

  /// The parts of shared memory that are sent.
  var sharedRuns: some Sequence<BlockExtent> {
    shared.lazy.flatMap { [log] in log.runs(in: $0) }
  }
}
