package import Errors
internal import FileIO
package import Guest
internal import QEMUStream
internal import SEVSNP
package import SVSM
package import Threads
package import Wire

/// The source side of a migration, as the VMM sees it: it reads the guest, carries what the SVSM
/// packages, and writes the stream. Each method is one call of the source document's VMM table
/// (`Formats/api.md`).
///
/// All worker threads read, encrypt, encode and hash memory. Everything that determines the order
/// of the stream is done here, so its bytes do not depend on the number of threads.
package struct SourceVMM: ~Copyable {
  /// Called with the number of bytes of guest memory that are done.
  package typealias Progress = (UInt64) -> Void

  /// What of the stream has been sent.
  package enum Phase: Sendable {
    /// Nothing yet.
    case ready
    /// Session and maps; memory is being sent, epoch by epoch.
    case exporting
    /// All memory; final state is being sent.
    case drained
    /// Everything except the commit.
    case described
    /// Everything; or sending the commit has begun.
    case committed
  }

  private var phase = Phase.ready
  private let crew: WorkCrew
  /// The guest as it is now: the one of `rounds` whose epoch was begun last.
  private var guest: GuestReader
  private let rounds: [GuestReader]
  private let machine: MachineState?
  private var svsm: SourceSVSM
  private let output: SealingOutput
  private var ram: RAMEncoder
  private var description: StreamDescription
  private var finalIDs: UInt32 = SNPSection.firstFinalID
  private var summary = SaveSummary()
  private var done: UInt64 = 0

  /// - Parameters:
  ///   - guest: the guest whose memory is read.
  ///   - rounds: the same guest at later times, once for each further epoch; the last is the paused
  ///     guest.
  ///   - svsm: the guest's SVSM, with its session begun.
  ///   - output: receives the stream.
  ///   - crew: the worker threads.
  /// - Throws: `RAM-BLOCK` when a block's name is not valid as a section name; `GUEST-SHAPE` when a
  ///   later guest is not the same guest; `MACHINE-SYNTAX`.
  package init(
    guest: GuestReader, rounds: [GuestReader] = [], svsm: consuming SourceSVSM,
    output: any ByteOutput, crew: WorkCrew
  ) throws(MigrationError) {
    let blocks = try guest.sectionBlocks()
    for later in rounds { try guest.description.requireSameShape(as: later.description) }
    let machine = try (rounds.last ?? guest).machine()
    self.crew = crew
    self.guest = guest
    self.rounds = rounds
    self.machine = machine
    self.svsm = svsm
    self.output = SealingOutput(output, crew: crew)
    ram = RAMEncoder(blocks: blocks)
    description = StreamDescription(machine: Array(guest.description.machine.utf8))
  }

  /// Sends everything except the commit: header, session, one epoch for each state of the guest,
  /// and the final state of the last. When it returns, the output has taken all of it.
  /// - Parameter progress: called after each batch.
  package mutating func sendGuest(progress: Progress) throws(MigrationError) {
    try validateAttributes()
    try sendTransferData()
    try sendPrivatePages(progress)
    try sendSharedPages(progress)
    try guest.requireSizes()
    for later in rounds {
      try closeEpoch(isLast: false)
      try sendChanges(to: later, progress)
    }
    if !rounds.isEmpty { try checkPages() }
    try closeEpoch(isLast: true)
    try sendMachineState()
    try sendFinalState()
    // An output that fails must be detected while the guest can still stay here.
    try output.flush()
  }

  /// Hands the guest over: sends the commit, and the seal over the stream. From the commit on the
  /// guest may be restored elsewhere.
  package mutating func commit() throws(MigrationError) -> SaveSummary {
    try require(.described)
    phase = .committed
    try sendCommit()
    try sealStream()
    summary.bytes = output.offset
    return summary
  }

  /// Requires the phase in which a step may be made.
  private func require(_ due: Phase) throws(MigrationError) {
    guard phase == due else {
      throw MigrationError(
        .sessionState, "step of the VMM out of order", expected: "\(due)", got: "\(phase)")
    }
  }

  private func validateAttributes() throws(MigrationError) {
    try svsm.validateAttributes(
      guest.description.attributes.ranges.map { $0.start..<$0.end })
  }

  /// Sends the transfer data and opens all sections that come in parts.
  package mutating func sendTransferData() throws(MigrationError) {
    try require(.ready)
    phase = .exporting
    var bytes: [UInt8] = []
    bytes.appendFileHeader()
    bytes.append(Configuration(machine: guest.description.machine))
    try output.append(bytes)

    let data = svsm.transferData.encoded
    try full(.session, data)
    description.add(
      .session,
      fields: StreamDescription.fields(
        TransferData.Layout.self, rest: ("evidence", data.count - TransferData.Layout.size)))

    var list: [UInt8] = []
    list.append(
      SectionHeader(
        .start, id: SNPSection.ram.id, name: RAMSection.name, version: RAMSection.version))
    ram.appendBlockList(to: &list)
    ram.appendEnd(to: &list)
    list.append(StreamGrammar.Footer(id: SNPSection.ram.id))
    try output.append(list)

    let map = guest.description.map
    try full(.guestMap, map.encoded)
    description.add(
      .guestMap,
      fields: StreamDescription.fields(
        GuestMap.Header.self,
        rest: ("entries", map.ranges.count * GuestMap.Entry.size)))

    try border(.start, .pages, PageMetadata.Layout.self)
    try border(.start, .epochs, EpochToken.Layout.self)
  }

  /// Sends every validated page, wrapped, with its metadata.
  package mutating func sendPrivatePages(_ progress: Progress) throws(MigrationError) {
    try require(.exporting)
    let description = guest.description
    let extents = MemoryExtents(map: description.map, states: description.pageStates)
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
        let batch = if let free = underWay.takeFree() { free } else { try makePrivateBatch() }
        (batch.place, batch.isHole, batch.isCancel) = (next.place, next.isHole, stretch.isCancel)
        let gpa = extent.gpa + (next.place.offset - extent.place.offset)
        if stretch.isCancel {
          try svsm.beginCancel(batch.export, at: gpa, count: batch.pages)
        } else {
          try svsm.beginExport(batch.export, at: gpa, count: batch.pages)
        }
        batch.offset = output.offset
        batch.position = try output.reserve(batch.size)
        underWay.submit(batch, to: crew)
      }
    }
    while try finishOldest(underWay, progress) {}
  }

  private func makePrivateBatch() throws(MigrationError) -> PrivateBatch {
    PrivateBatch(try svsm.makeExport(), from: guest, into: output.ring)
  }

  /// Releases the oldest batch: it is part of the transcript from now on.
  /// - Returns: false when there is none.
  @discardableResult private mutating func finishOldest(
    _ underWay: InFlight<PrivateBatch>, _ progress: Progress
  ) throws(MigrationError) -> Bool {
    guard let batch = underWay.finishOldest(with: crew) else { return false }
    if let error = batch.error { throw error }
    svsm.trace?.place(ofPart: batch.offset, stride: UInt64(PrivateBatch.pageStride))
    try svsm.finishExport(batch.export)
    try output.finish(batch.size)
    if batch.isCancel {
      summary.cancelledPages += UInt64(batch.pages)
    } else {
      summary.privatePages += UInt64(batch.pages)
    }
    advance(batch.place.size, progress)
    underWay.recycle(batch)
    return true
  }

  /// Sends what is shared with the host, as `ram` records of an ordinary QEMU migration.
  package mutating func sendSharedPages(_ progress: Progress) throws(MigrationError) {
    try require(.exporting)
    let description = guest.description
    let extents = MemoryExtents(map: description.map, states: description.pageStates)
    try send(extents.shared(description.ramBlocks), progress)
  }

  private mutating func send(
    _ extents: some Sequence<BlockExtent>, _ progress: Progress
  ) throws(MigrationError) {
    var sender = SharedPageSender(guest: guest, crew: crew, encoder: ram, id: SNPSection.ram.id)
    let output = self.output
    var (summary, done) = (summary, done)
    try sender.send(extents) {
      (batch) throws(MigrationError) in
      let records = batch.records
      try output.append(records.span.extracting(first: batch.size))
      summary.zeroPages += UInt64(batch.zeros)
      summary.sharedPages += UInt64(batch.pages - batch.zeros)
      done += batch.place.size
      progress(done)
    }
    ram = sender.encoder
    (self.summary, self.done) = (summary, done)
  }

  /// Begins the next epoch and sends what has changed since the previous one.
  /// - Parameter later: the guest as it is now.
  package mutating func sendChanges(
    to later: GuestReader, _ progress: Progress
  ) throws(MigrationError) {
    try require(.exporting)
    let before = guest
    guest = later
    try svsm.beginEpoch(with: later.trustedState())
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

  /// Shows all private pages to the SVSM, which checks that none has changed since it was sent.
  package mutating func checkPages() throws(MigrationError) {
    try require(.exporting)
    let description = guest.description
    let extents = MemoryExtents(map: description.map, states: description.pageStates)
    let underWay = InFlight<CheckBatch>(for: crew)
    for extent in extents.extents(where: { $0 == .validated }) {
      var batches = BatchCursor(extent.place)
      while let next = try batches.next(of: guest, pages: pagesPerBatch, holePages: pagesPerBatch) {
        if underWay.isFull { try finishOldest(underWay) }
        let batch =
          if let free = underWay.takeFree() { free } else {
            CheckBatch(try svsm.makeCheck(), of: guest)
          }
        (batch.place, batch.isHole) = (next.place, next.isHole)
        try svsm.beginCheck(
          batch.check, at: extent.gpa + (next.place.offset - extent.place.offset),
          count: Int(next.place.size) / PageMetadata.pageSize)
        underWay.submit(batch, to: crew)
      }
    }
    while !underWay.isEmpty { try finishOldest(underWay) }
    try guest.requireSizes()
  }

  private mutating func finishOldest(
    _ underWay: InFlight<CheckBatch>
  ) throws(MigrationError) {
    guard let batch = underWay.finishOldest(with: crew) else { return }
    if let error = batch.error { throw error }
    try svsm.finishCheck(batch.check)
    underWay.recycle(batch)
  }

  /// Closes the epoch.
  /// - Parameter isLast: whether everything was sent while the guest was paused, so that no memory
  ///   follows.
  package mutating func closeEpoch(isLast: Bool) throws(MigrationError) {
    try require(.exporting)
    let id = SNPSection.epochs.id
    var bytes: [UInt8] = []
    bytes.append(StreamGrammar.PartHeader(.part, id: id))
    svsm.trace?.place(ofPart: output.offset)
    bytes += try svsm.closeEpoch(isLast: isLast)
    bytes.append(StreamGrammar.Footer(id: id))
    summary.epochs += 1
    guard isLast else { return try output.append(bytes) }
    phase = .drained
    bytes.append(StreamGrammar.PartHeader(.end, id: SNPSection.ram.id))
    ram.appendEnd(to: &bytes)
    bytes.append(StreamGrammar.Footer(id: SNPSection.ram.id))
    try output.append(bytes)
    try border(.end, .pages, PageMetadata.Layout.self)
    try border(.end, .epochs, EpochToken.Layout.self)
  }

  /// Sends the VMM's part of the machine state, except for the guest's own parts, which are sent
  /// with the final state. Sends nothing when the guest has no machine state.
  package mutating func sendMachineState() throws(MigrationError) {
    try require(.drained)
    guard let machine else { return }
    let body = machine.framed
    try full(.machine, body)
    description.add(
      .machine,
      fields: StreamDescription.fields(
        MachineState.Layout.self, rest: ("entries", body.count - MachineState.Layout.size)))
    let described = machine.description.flatMap {
      (try? VMDescription(parsing: $0)).map(DescribedSections.init)
    }
    var id = SNPSection.firstDeviceID
    for entry in machine.entries where MachineState.place(of: entry) == .section {
      guard case .section(var header, let body) = entry else { continue }
      header.id = id
      try output.append(header, body)
      description.add(header, size: body.count, describedBy: described)
      id += 1
    }
  }

  /// Sends the final guest and SVSM state: vCPUs, services, secrets page, page states.
  package mutating func sendFinalState() throws(MigrationError) {
    try require(.drained)
    let output = self.output
    let trace = svsm.trace
    var description = self.description
    var id = finalIDs
    try svsm.packageFinalState(secretsPage: guest.secretsPage()) {
      (record, bytes) throws(MigrationError) in
      let section = SNPSection.final(record.kind)
      trace?.place(of: SectionHeader(section, id: id), at: output.offset)
      try output.append(SectionHeader(section, id: id, instance: record.index), bytes)
      description.add(
        section, instance: record.index,
        fields: StreamDescription.fields(
          FinalRecord.Layout.self, rest: ("ciphertext", Int(record.length))))
      id += 1
    }
    self.description = description
    finalIDs = id
    phase = .described
  }

  private mutating func sendCommit() throws(MigrationError) {
    let header = SectionHeader(.commit, id: finalIDs)
    svsm.trace?.place(of: header, at: output.offset)
    try output.append(header, svsm.commit())
    description.add(.commit, fields: StreamDescription.fields(CommitRecord.Layout.self))
    try output.append([RecordType.eof.rawValue])
  }

  private mutating func sealStream() throws(MigrationError) {
    let length = output.offset
    let leaves = try output.finishHashing()
    var trailer: [UInt8] = []
    trailer.append(description.description)
    let seal = try Seal(
      coveredLength: length, root: HashTree.root(of: leaves), trailer: trailer,
      signer: svsm.transferData.sourceKey)
    svsm.trace?.place = (length, 0)
    try output.appendUnhashed(seal.encoded + leaves.encoded + svsm.sign(seal))
    try output.appendUnhashed(trailer)
  }

  private mutating func advance(_ bytes: UInt64, _ progress: Progress) {
    done += bytes
    progress(done)
  }

  private func full(_ section: SNPSection, _ body: [UInt8]) throws(MigrationError) {
    try output.append(SectionHeader(section, id: section.id), body)
  }

  /// Sends the start or end of a section whose parts have one fixed size. Its body is the
  /// no-operation record: all zero.
  private mutating func border(
    _ kind: SectionHeader.Kind, _ section: SNPSection, _ record: any WireRecord.Type
  ) throws(MigrationError) {
    try output.append(
      SectionHeader(section, kind, id: section.id), [UInt8](repeating: 0, count: record.size))
    if kind == .start { description.add(section, fields: StreamDescription.fields(record)) }
  }
}
