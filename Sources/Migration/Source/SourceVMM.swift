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

  /// The same guest at a later time.
  package struct Round {
    /// What messages call it.
    let name: String
    let open: () throws(MigrationError) -> GuestReader

    /// - Parameter open: called once, when the epoch of the round begins: of all rounds only two are held.
    package init(name: String, open: @escaping () throws(MigrationError) -> GuestReader) {
      (self.name, self.open) = (name, open)
    }
  }

  private let crew: WorkCrew
  /// The guest as it is now: the one of `rounds` whose epoch was begun last.
  private var guest: GuestReader
  private let rounds: [Round]
  private var stream: SourceStream
  private var done: UInt64 = 0

  /// - Parameters:
  ///   - guest: the guest whose memory is read.
  ///   - rounds: the same guest at later times, once for each further epoch; the last is the paused
  ///     guest.
  ///   - svsm: the guest's SVSM, with its session begun.
  ///   - output: receives the stream.
  ///   - crew: the worker threads.
  /// - Throws: `RAM-BLOCK` when a block's name is not valid as a section name.
  package init(
    guest: GuestReader, rounds: [Round] = [], svsm: consuming SourceSVSM,
    output: any ByteOutput, crew: WorkCrew
  ) throws(MigrationError) {
    stream = try SourceStream(guest.description, svsm: svsm, output: output, crew: crew)
    // Only the state of the paused guest is sent.
    self.guest = rounds.isEmpty ? guest : guest.withoutState()
    (self.rounds, self.crew) = (rounds, crew)
  }

  /// Sends everything except the commit: header, session, one epoch for each state of the guest,
  /// and the final state of the last. When it returns, the output has taken all of it.
  /// - Parameter progress: called after each batch.
  /// - Throws: `GUEST-SHAPE` when a later guest is not the same guest; what opening it throws; the errors of
  ///   the SVSM; `IO-READ`, `IO-WRITE`.
  package mutating func sendGuest(progress: Progress) throws(MigrationError) {
    try validateAttributes()
    try stream.sendTransferData()
    try sendPrivatePages(progress)
    try sendSharedPages(progress)
    try guest.requireSizes()
    for (index, round) in rounds.enumerated() {
      try stream.closeEpoch(isLast: false)
      try sendChanges(to: round, isLast: index == rounds.count - 1, progress)
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
    var validated = extents.extents(where: { $0 == .validated }).makeIterator()
    try send(progress) { validated.next().map { PrivateStretch(extent: $0) } }
  }

  /// - Parameter next: gives the stretches, in order.
  private mutating func send(
    _ progress: Progress, _ next: () throws(MigrationError) -> PrivateStretch?
  ) throws(MigrationError) {
    let underWay = InFlight<PrivateBatch>(for: crew)
    while let stretch = try next() { try send(stretch, underWay, progress) }
    while try finishOldest(underWay, progress) {}
  }

  private mutating func send(
    _ stretch: PrivateStretch, _ underWay: InFlight<PrivateBatch>, _ progress: Progress
  ) throws(MigrationError) {
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
    let shared = extents.shared(guest.description.ramBlocks)
    var rest = shared.makeIterator()
    try sendShared(shared.reduce(0) { $0 + $1.size / Page.size64 }, progress) { rest.next() }
  }

  /// - Parameters:
  ///   - pages: number of pages of all extents.
  ///   - next: gives the extents, in order.
  private mutating func sendShared(
    _ pages: UInt64, _ progress: Progress, _ next: () throws(MigrationError) -> BlockExtent?
  ) throws(MigrationError) {
    var sender = SharedPageSender(
      guest: guest, crew: crew, encoder: stream.ram, id: SNPSection.ram.id)
    let output = stream.output
    var (summary, done) = (stream.summary, done)
    try sender.send(pages, next) { (batch) throws(MigrationError) in
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

  /// Opens the guest of a round and begins its epoch.
  private mutating func begin(
    _ round: Round, after before: GuestReader, isLast: Bool
  ) throws(MigrationError) -> GuestReader {
    do throws(MigrationError) {
      let guest = try round.open()
      try before.description.requireSameShape(as: guest.description)
      try stream.svsm.beginEpoch(with: guest.trustedState())
      return isLast ? guest : guest.withoutState()
    } catch {
      throw error.within(.file(round.name))
    }
  }

  /// Begins the next epoch and sends what has changed since the previous one.
  /// - Parameters:
  ///   - round: the guest as it is now.
  ///   - isLast: whether it is the paused guest.
  private mutating func sendChanges(
    to round: Round, isLast: Bool, _ progress: Progress
  ) throws(MigrationError) {
    let before = guest
    guest = try begin(round, after: before, isLast: isLast)
    let later = guest
    try validateAttributes()
    var done = done
    var log = try DirtyLog(comparing: later, with: before, crew: crew) {
      done += $0
      progress(done)
    }
    self.done = done
    let changes = MemoryChanges(of: later.description, since: before.description.pageStates)
    for extent in changes.converted { try log.mark(extent) }
    let quiet: Progress = { _ in }
    var runs = DirtyRuns(of: changes.privateStretches.makeIterator())
    try send(quiet) { () throws(MigrationError) in try runs.next(in: &log) }
    var (pages, counted) = (0 as UInt64, DirtyRuns(of: changes.sharedStretches.makeIterator()))
    while let run = try counted.next(in: &log) { pages += run.size / Page.size64 }
    var shared = DirtyRuns(of: changes.sharedStretches.makeIterator())
    try sendShared(pages, quiet) { () throws(MigrationError) in try shared.next(in: &log) }
    self.done = done
    try before.requireSizes()
    try later.requireSizes()
  }
}
