package import Errors
internal import FileIO
package import Guest
internal import QEMUStream
internal import SEVSNP
package import SVSM
package import Threads
package import Wire

/// The source side of a migration, as the VMM sees it, of a guest at rest: it reads the guest's
/// memory, and sends what the SVSM packages.
///
/// All worker threads read, encrypt, encode and hash memory. Everything that determines the order
/// of the stream is done here, so its bytes do not depend on the number of threads.
package struct SourceVMM: ~Copyable {
  /// Called with the number of bytes of guest memory that are done.
  package typealias Progress = (UInt64) -> Void

  private let crew: WorkCrew
  /// The guest as it is now: the one of `rounds` whose epoch was begun last.
  private var guest: GuestReader
  private let rounds: [GuestReader]
  private var stream: SourceStream
  private var done: UInt64 = 0

  /// - Parameters:
  ///   - guest: the guest whose memory is read.
  ///   - rounds: the same guest at later times, once for each further epoch; the last is the paused
  ///     guest.
  ///   - svsm: the guest's SVSM, with its session begun.
  ///   - output: receives the stream.
  ///   - crew: the worker threads.
  /// - Throws: `RAM-BLOCK` when a block's name is not valid as a section name; `GUEST-SHAPE` when a
  ///   later guest is not the same guest.
  package init(
    guest: GuestReader, rounds: [GuestReader] = [], svsm: consuming SourceSVSM,
    output: any ByteOutput, crew: WorkCrew
  ) throws(MigrationError) {
    for later in rounds { try guest.description.requireSameShape(as: later.description) }
    stream = try SourceStream(guest.description, svsm: svsm, output: output, crew: crew)
    (self.guest, self.rounds, self.crew) = (guest, rounds, crew)
  }

  /// Sends everything except the commit: header, session, one epoch for each state of the guest,
  /// and the final state of the last. When it returns, the output has taken all of it.
  /// - Parameter progress: called after each batch.
  package mutating func sendGuest(progress: Progress) throws(MigrationError) {
    try validateAttributes()
    try stream.sendTransferData()
    try sendPrivatePages(progress)
    try sendSharedPages(progress)
    try guest.requireSizes()
    for later in rounds {
      try stream.closeEpoch(isLast: false)
      try sendChanges(to: later, progress)
    }
    if !rounds.isEmpty {
      try stream.checkPages(extents.extents(where: { $0 == .validated }), in: guest, crew: crew)
    }
    try stream.closeEpoch(isLast: true)
    try stream.sendMachineState(guest.machine())
    try stream.sendFinalState(secretsPage: guest.secretsPage())
    // An output that fails must be detected while the guest can still stay here.
    try stream.output.flush()
  }

  /// Hands the guest over, after `sendGuest`: from then on it may be restored elsewhere.
  package mutating func commit() throws(MigrationError) -> SaveSummary { try stream.commit() }

  private var extents: MemoryExtents {
    MemoryExtents(map: guest.description.map, states: guest.description.pageStates)
  }

  private func validateAttributes() throws(MigrationError) {
    try stream.svsm.validateAttributes(guest.description.attributes.addresses)
  }

  /// Sends every validated page, wrapped, with its metadata.
  private mutating func sendPrivatePages(_ progress: Progress) throws(MigrationError) {
    try send(
      extents.extents(where: { $0 == .validated }).lazy.map { PrivateStretch(extent: $0) }, progress
    )
  }

  private mutating func send(
    _ stretches: some Sequence<PrivateStretch>, _ progress: Progress
  ) throws(MigrationError) {
    let underWay = InFlight<PrivateBatch>(for: crew)
    for stretch in stretches {
      let extent = stretch.extent
      var batches = BatchCursor(extent.place)
      while let next = try batches.next(of: guest, pages: pagesPerBatch, holePages: pagesPerBatch) {
        if underWay.isFull { try finishOldest(underWay, progress) }
        let batch =
          if let free = underWay.takeFree() { free } else {
            try stream.makePrivateBatch(from: guest)
          }
        batch.place = next.place
        batch.content = stretch.isCancel ? .withdrawn : next.isHole ? .zero : .memory
        try stream.begin(batch, at: extent.gpa + (next.place.offset - extent.place.offset))
        underWay.submit(batch, to: crew)
      }
    }
    while try finishOldest(underWay, progress) {}
  }

  /// - Returns: false when there is none.
  @discardableResult private mutating func finishOldest(
    _ underWay: InFlight<PrivateBatch>, _ progress: Progress
  ) throws(MigrationError) -> Bool {
    guard let batch = underWay.finishOldest(with: crew) else { return false }
    try stream.finish(batch)
    done += batch.place.size
    progress(done)
    underWay.recycle(batch)
    return true
  }

  /// Sends what is shared with the host, as `ram` records of an ordinary QEMU migration.
  private mutating func sendSharedPages(_ progress: Progress) throws(MigrationError) {
    try send(extents.shared(guest.description.ramBlocks), progress)
  }

  private mutating func send(
    _ extents: some Sequence<BlockExtent>, _ progress: Progress
  ) throws(MigrationError) {
    var sender = SharedPageSender(
      guest: guest, crew: crew, encoder: stream.ram, id: SNPSection.ram.id)
    let output = stream.output
    var (summary, done) = (stream.summary, done)
    try sender.send(extents) {
      (batch) throws(MigrationError) in
      let records = batch.records
      try output.append(records.span.extracting(first: batch.size))
      summary.zeroPages += UInt64(batch.zeros)
      summary.sharedPages += UInt64(batch.pages - batch.zeros)
      done += batch.place.size
      progress(done)
    }
    stream.ram = sender.encoder
    (stream.summary, self.done) = (summary, done)
  }

  /// Begins the next epoch and sends what has changed since the previous one.
  /// - Parameter later: the guest as it is now.
  private mutating func sendChanges(
    to later: GuestReader, _ progress: Progress
  ) throws(MigrationError) {
    let before = guest
    guest = later
    try stream.svsm.beginEpoch(with: later.trustedState())
    try validateAttributes()
    var done = done
    let log = try DirtyLog(comparing: later, with: before, crew: crew) {
      done += $0
      progress(done)
    }
    self.done = done
    let changes = MemoryChanges(
      of: later.description, since: before.description.pageStates, log)
    try send(changes.privateRuns) { _ in }
    try send(changes.sharedRuns) { _ in }
    self.done = done
    try before.requireSizes()
    try later.requireSizes()
  }
}
