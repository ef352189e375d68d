internal import Errors
internal import Guest
internal import QEMUStream
internal import SVSM
internal import Threads
internal import Wire

/// The stream of a source: the sections in their order, with what the SVSM packages. Who reads the
/// guest's memory, and when, is not decided here.
///
/// Each method is one call of the source document's VMM table (`Formats/api.md`).
struct SourceStream: ~Copyable {
  /// What of the stream has been sent.
  enum Phase: Sendable {
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
  var svsm: SourceSVSM
  let output: SealingOutput
  /// The encoder of shared pages, in its state at the place of the next records.
  var ram: RAMEncoder
  private var description: StreamDescription
  private var finalIDs: UInt32 = SNPSection.firstFinalID
  var summary = SaveSummary()
  private let machine: String
  private let map: GuestMap

  /// - Parameters:
  ///   - guest: the guest; its machine, RAM blocks and map are sent.
  ///   - svsm: the guest's SVSM, with its session begun.
  ///   - output: receives the stream.
  ///   - crew: the worker threads, which hash it.
  /// - Throws: `RAM-BLOCK` when a block's name is not valid as a section name.
  init(
    _ guest: GuestDescription, svsm: consuming SourceSVSM, output: any ByteOutput, crew: WorkCrew
  ) throws(MigrationError) {
    ram = RAMEncoder(blocks: try guest.ramBlocks.inStream())
    self.svsm = svsm
    self.output = SealingOutput(output, crew: crew)
    (machine, map) = (guest.machine, guest.map)
    description = StreamDescription(machine: Array(guest.machine.utf8))
  }

  /// Requires the phase in which a step may be made.
  /// - Throws: `SESSION-STATE`.
  func require(_ due: Phase) throws(MigrationError) {
    guard phase == due else {
      throw MigrationError(
        .sessionState, "step of the VMM out of order", expected: "\(due)", got: "\(phase)")
    }
  }

  /// Sends the transfer data and opens all sections that come in parts.
  mutating func sendTransferData() throws(MigrationError) {
    try require(.ready)
    phase = .exporting
    var bytes: [UInt8] = []
    bytes.appendFileHeader()
    bytes.append(Configuration(machine: machine))
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

    try full(.guestMap, map.encoded)
    description.add(
      .guestMap,
      fields: StreamDescription.fields(
        GuestMap.Header.self,
        rest: ("entries", map.ranges.count * GuestMap.Entry.size)))

    try border(.start, .pages, PageMetadata.Layout.self)
    try border(.start, .epochs, EpochToken.Layout.self)
  }

  // MARK: Private pages

  /// Has the SVSM begin to package the pages of a batch, and makes room for their records.
  func makePrivateBatch(from memory: (any PageMemory)?) throws(MigrationError) -> PrivateBatch {
    PrivateBatch(try svsm.makeExport(), from: memory, into: output.ring)
  }

  /// Decides that the pages of a batch may leave, or are withdrawn, and gives them their place in
  /// the stream.
  /// - Parameter gpa: guest-physical address of the first page.
  mutating func begin(_ batch: PrivateBatch, at gpa: UInt64) throws(MigrationError) {
    if batch.content == .withdrawn {
      try svsm.beginCancel(batch.export, at: gpa, count: batch.pages)
    } else {
      try svsm.beginExport(batch.export, at: gpa, count: batch.pages)
    }
    batch.offset = output.offset
    batch.position = try output.reserve(batch.size)
  }

  /// Releases a batch that a worker has packaged: it is part of the transcript from now on.
  mutating func finish(_ batch: PrivateBatch) throws(MigrationError) {
    if let error = batch.error { throw error }
    svsm.trace?.place(ofPart: batch.offset, stride: UInt64(PrivateBatch.pageStride))
    try svsm.finishExport(batch.export)
    try output.finish(batch.size)
    if batch.content == .withdrawn {
      summary.cancelledPages += UInt64(batch.pages)
    } else {
      summary.privatePages += UInt64(batch.pages)
    }
  }

  // MARK: Epochs

  /// Closes the epoch.
  /// - Parameter isLast: whether everything was sent while the guest was paused, so that no memory
  ///   follows.
  mutating func closeEpoch(isLast: Bool) throws(MigrationError) {
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

  /// Shows all private pages to the SVSM, which checks that none has changed since it was sent.
  /// - Parameters:
  ///   - extents: the validated memory.
  ///   - memory: where it is read.
  mutating func checkPages(
    _ extents: some Sequence<GuestExtent>, in memory: any PageMemory, crew: WorkCrew
  ) throws(MigrationError) {
    try require(.exporting)
    let underWay = InFlight<CheckBatch>(for: crew)
    for extent in extents {
      var batches = BatchCursor(extent.place)
      while let next = try batches.next(of: memory, pages: pagesPerBatch, holePages: pagesPerBatch)
      {
        if underWay.isFull { try finishOldest(underWay, crew) }
        let batch =
          if let free = underWay.takeFree() { free } else {
            CheckBatch(try svsm.makeCheck(), of: memory)
          }
        (batch.place, batch.isHole) = (next.place, next.isHole)
        try svsm.beginCheck(
          batch.check, at: extent.gpa + (next.place.offset - extent.place.offset),
          count: Int(next.place.size) / PageMetadata.pageSize)
        underWay.submit(batch, to: crew)
      }
    }
    while !underWay.isEmpty { try finishOldest(underWay, crew) }
    try memory.requireSizes()
  }

  private mutating func finishOldest(
    _ underWay: InFlight<CheckBatch>, _ crew: WorkCrew
  ) throws(MigrationError) {
    guard let batch = underWay.finishOldest(with: crew) else { return }
    if let error = batch.error { throw error }
    try svsm.finishCheck(batch.check)
    underWay.recycle(batch)
  }

  // MARK: The end

  /// Sends the VMM's part of the machine state, except for the guest's own parts, which are sent
  /// with the final state. Sends nothing when the guest has no machine state.
  mutating func sendMachineState(_ machine: MachineState?) throws(MigrationError) {
    try require(.drained)
    guard let machine else { return }
    let output = self.output
    var head: [UInt8] = []
    head.append(SectionHeader(.machine, id: SNPSection.machine.id))
    try output.append(head)
    try machine.encodeFramed { (bytes) throws(MigrationError) in try output.append(bytes) }
    try output.append(StreamGrammar.Footer(id: SNPSection.machine.id).bytes)
    description.add(
      .machine,
      fields: StreamDescription.fields(
        MachineState.Layout.self, rest: ("entries", machine.framedSize - MachineState.Layout.size)))
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
  /// - Parameter secretsPage: content of the guest's secrets page, when it has one: 4096 bytes.
  mutating func sendFinalState(secretsPage: [UInt8]?) throws(MigrationError) {
    try require(.drained)
    let output = self.output
    let trace = svsm.trace
    var description = self.description
    var id = finalIDs
    try svsm.packageFinalState(secretsPage: secretsPage) {
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

  /// Hands the guest over: sends the commit, and the seal over the stream. From the commit on the
  /// guest may be restored elsewhere.
  mutating func commit() throws(MigrationError) -> SaveSummary {
    try require(.described)
    phase = .committed
    let header = SectionHeader(.commit, id: finalIDs)
    svsm.trace?.place(of: header, at: output.offset)
    try output.append(header, svsm.commit())
    description.add(.commit, fields: StreamDescription.fields(CommitRecord.Layout.self))
    try output.append([RecordType.eof.rawValue])
    try sealStream()
    summary.bytes = output.offset
    return summary
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
