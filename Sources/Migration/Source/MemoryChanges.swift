internal import Guest
internal import SEVSNP

/// Private memory that is sent or withdrawn.
struct PrivateStretch {
  var extent: GuestExtent
  /// It is private no more, or not validated: its pages are withdrawn.
  var isCancel = false
}

/// What is to be sent so that a guest that was sent before becomes what it is now.
struct MemoryChanges {
  /// Private memory by ascending guest-physical address.
  let `private`: [PrivateStretch]
  /// Shared memory by block and ascending offset.
  let shared: [BlockExtent]
  /// Which of their pages are sent or withdrawn.
  let log: DirtyLog

  /// - Parameters:
  ///   - guest: as it is now.
  ///   - states: as they were.
  ///   - log: pages whose content has changed.
  init(of guest: GuestDescription, since states: PageStateMap, _ log: DirtyLog) {
    let (map, before, now) = (guest.map, states, guest.pageStates)
    let present = MemoryExtents(map: map, states: now)
    var log = log
    var stretches = present.extents(where: { $0 == .validated }).map { PrivateStretch(extent: $0) }
    for change in before.changes(to: now) {
      // Whatever these pages hold, it did not come as what it is now.
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

  /// The private stretches that are sent or withdrawn.
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

  /// The shared stretches that are sent.
  var sharedRuns: some Sequence<BlockExtent> {
    shared.lazy.flatMap { [log] in log.runs(in: $0) }
  }
}
