public import Bytes
public import FileIO
public import Guest
internal import QEMUStream
internal import SEVSNP
public import SVSM
public import Threads

/// What a save came to.
public struct SaveSummary: Sendable {
  /// Bytes of the stream.
  public var bytes: UInt64 = 0
  /// Private pages sent.
  public var privatePages: UInt64 = 0
  /// Shared pages sent with content.
  public var sharedPages: UInt64 = 0
  /// Shared pages that are zero.
  public var zeroPages: UInt64 = 0
}

/// The source side of a migration, seen from the VMM: reads the guest, carries what the SVSM packages,
/// and writes the stream. Each method is one call of the source document's VMM table
/// (`Formats/api.md`).
///
/// Memory is read, encrypted, encoded and hashed by all threads of a crew; what decides the order of
/// the stream is done here, so that its bytes do not depend on how many there are.
public struct SourceVMM: ~Copyable {
  /// Told how many bytes of guest memory are done.
  public typealias Progress = (UInt64) -> Void

  private let crew: WorkCrew
  private let guest: GuestReader
  private let machine: MachineState?
  private var svsm: SourceSVSM
  private let output: SealingOutput
  private var ram: RAMEncoder
  private var description: StreamDescription
  private var finalIDs: UInt32 = SNPSection.firstFinalID
  private var summary = SaveSummary()
  private var done: UInt64 = 0

  /// - Parameters:
  ///   - guest: where memory is read from.
  ///   - svsm: the guest's SVSM, its session begun.
  ///   - output: where the stream goes.
  ///   - crew: does the work.
  /// - Throws: `RAM-BLOCK` when a block's name is no section name; `MACHINE-SYNTAX`.
  public init(
    guest: GuestReader, svsm: consuming SourceSVSM, output: any ByteOutput, crew: WorkCrew
  ) throws(MigrationError) {
    let blocks = try guest.sectionBlocks()
    let machine = try guest.machine()
    self.crew = crew
    self.guest = guest
    self.machine = machine
    self.svsm = svsm
    self.output = SealingOutput(output, crew: crew)
    ram = RAMEncoder(blocks: blocks)
    description = StreamDescription(machine: Array(guest.description.machine.utf8))
  }

  /// Runs the whole migration: header, session, one epoch of a paused guest, final state, seal.
  ///
  /// - Parameters:
  ///   - willCommit: called when all but the commit is written: after it returns the guest may be
  ///     restored elsewhere.
  ///   - progress: called after each batch.
  public mutating func migrate(
    willCommit: () throws(MigrationError) -> Void, progress: Progress
  ) throws(MigrationError) -> SaveSummary {
    try svsm.validateAttributes(
      guest.description.attributes.ranges.map { $0.start..<$0.end })
    try sendTransferData()
    try sendPrivatePages(progress)
    try sendSharedPages(progress)
    try guest.requireSizes()
    try closeEpoch()
    try sendMachineState()
    try sendFinalState()
    // An output that takes no more must be found while the guest can still stay.
    try output.flush()
    try willCommit()
    try sendCommit()
    try sealStream()
    summary.bytes = output.offset
    return summary
  }

  /// Sends transfer data and opens all sections that come in parts.
  public mutating func sendTransferData() throws(MigrationError) {
    var bytes: [UInt8] = []
    bytes.appendFileHeader()
    bytes.append(Configuration(machine: guest.description.machine))
    try output.append(bytes)

    let data = svsm.transferData.encoded
    try full(.session, data)
    description.add(
      .session,
      fields: StreamDescription.fields(
        TransferData.layout, rest: ("evidence", data.count - TransferData.layout.size)))

    var list: [UInt8] = []
    list.append(
      SectionHeader(
        .start, id: SNPSection.ram.id, name: RAMSection.name, version: RAMSection.version))
    ram.appendBlockList(to: &list)
    ram.appendEnd(to: &list)
    list.appendFooter(id: SNPSection.ram.id)
    try output.append(list)

    let map = guest.description.map
    try full(.guestMap, map.encoded)
    description.add(
      .guestMap,
      fields: StreamDescription.fields(
        GuestMap.headerLayout,
        rest: ("entries", map.ranges.count * GuestMap.entryLayout.size)))

    try border(.start, .pages, PageMetadata.recordLayout)
    try border(.start, .epochs, EpochToken.layout)
  }

  /// Sends every validated page, wrapped, with its metadata.
  public mutating func sendPrivatePages(_ progress: Progress) throws(MigrationError) {
    let description = guest.description
    let extents = MemoryExtents(map: description.map, states: description.pageStates)
    let underWay = InFlight<PrivateBatch>(for: crew)
    for extent in extents.extents(where: { $0 == .validated }) {
      var batches = BatchCursor(extent.place)
      while let next = try batches.next(of: guest, pages: pagesPerBatch, holePages: pagesPerBatch) {
        if underWay.isFull { try finishOldest(underWay, progress) }
        let batch = if let free = underWay.takeFree() { free } else { try makePrivateBatch() }
        (batch.place, batch.isHole) = (next.place, next.isHole)
        try svsm.beginExport(
          batch.export, at: extent.gpa + (next.place.offset - extent.place.offset),
          count: batch.pages)
        batch.position = try output.reserve(batch.size)
        underWay.submit(batch, to: crew)
      }
    }
    while try finishOldest(underWay, progress) {}
  }

  private func makePrivateBatch() throws(MigrationError) -> PrivateBatch {
    PrivateBatch(try svsm.makeExport(), from: guest, into: output.ring)
  }

  /// Lets the oldest batch out: it is part of the transcript from now on.
  /// - Returns: false when there is none.
  @discardableResult private mutating func finishOldest(
    _ underWay: InFlight<PrivateBatch>, _ progress: Progress
  ) throws(MigrationError) -> Bool {
    guard let batch = underWay.finishOldest(with: crew) else { return false }
    if let error = batch.error { throw error }
    try svsm.finishExport(batch.export)
    try output.finish(batch.size)
    summary.privatePages += UInt64(batch.pages)
    advance(batch.place, progress)
    underWay.recycle(batch)
    return true
  }

  /// Sends what is shared with the host, in the traditional manner.
  public mutating func sendSharedPages(_ progress: Progress) throws(MigrationError) {
    let description = guest.description
    let extents = MemoryExtents(map: description.map, states: description.pageStates)
    var sender = SharedPageSender(guest: guest, crew: crew, encoder: ram, id: SNPSection.ram.id)
    let output = self.output
    var (summary, done) = (summary, done)
    try sender.send(extents.shared(description.ramBlocks)) {
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

  /// Closes the epoch: everything was sent while the guest was paused, so it is the last.
  public mutating func closeEpoch() throws(MigrationError) {
    let id = SNPSection.epochs.id
    var bytes: [UInt8] = []
    bytes.appendSectionHeader(.part, id: id)
    bytes += try svsm.closeEpoch(isLast: true)
    bytes.appendFooter(id: id)
    bytes.appendSectionHeader(.end, id: SNPSection.ram.id)
    ram.appendEnd(to: &bytes)
    bytes.appendFooter(id: SNPSection.ram.id)
    try output.append(bytes)
    try border(.end, .pages, PageMetadata.recordLayout)
    try border(.end, .epochs, EpochToken.layout)
  }

  /// Sends what the VMM keeps of the machine, but for what is the guest's own: that goes with the
  /// final state. Nothing when the guest came without.
  public mutating func sendMachineState() throws(MigrationError) {
    guard let machine else { return }
    let body = machine.framed
    try full(.machine, body)
    description.add(
      .machine,
      fields: StreamDescription.fields(
        MachineState.layout, rest: ("entries", body.count - MachineState.layout.size)))
    let described = machine.description.flatMap { try? VMDescription(parsing: $0) }
    var id = SNPSection.firstDeviceID
    for entry in machine.entries where MachineState.place(of: entry) == .section {
      guard case .section(var header, let body) = entry else { continue }
      header.id = id
      try Self.full(header, body, to: output)
      description.add(header, size: body.count, describedBy: described)
      id += 1
    }
  }

  /// Sends the final guest and SVSM state: vCPUs, services, secrets page, page states.
  public mutating func sendFinalState() throws(MigrationError) {
    var secretsPage: [UInt8]?
    if let run = guest.description.pageStates.runs.first(where: { $0.state == .secrets }) {
      var page = [UInt8](repeating: 0, count: PageMetadata.pageSize)
      var span = page.mutableSpan
      try guest.read(gpa: run.gpa, into: &span)
      secretsPage = page
    }
    let output = self.output
    var description = self.description
    var id = finalIDs
    try svsm.packageFinalState(secretsPage: secretsPage) {
      (record, bytes) throws(MigrationError) in
      let section = SNPSection(record.kind)
      try Self.full(section, id: id, instance: record.index, bytes, to: output)
      description.add(
        section, instance: record.index,
        fields: StreamDescription.fields(
          FinalRecord.layout, rest: ("ciphertext", Int(record.length))))
      id += 1
    }
    self.description = description
    finalIDs = id
  }

  private mutating func sendCommit() throws(MigrationError) {
    try Self.full(.commit, id: finalIDs, instance: 0, svsm.commit(), to: output)
    description.add(.commit, fields: StreamDescription.fields(CommitRecord.layout))
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
    let fixed = seal.encoded
    try output.appendUnhashed(fixed + leaves + svsm.signSeal(Seal.label + fixed))
    try output.appendUnhashed(trailer)
  }

  // MARK: Pieces

  private mutating func advance(_ place: BlockExtent, _ progress: Progress) {
    done += place.size
    progress(done)
  }

  private mutating func full(_ section: SNPSection, _ body: [UInt8]) throws(MigrationError) {
    try Self.full(section, id: section.id, instance: 0, body, to: output)
  }

  private static func full(
    _ section: SNPSection, id: UInt32, instance: UInt32, _ body: [UInt8], to output: SealingOutput
  ) throws(MigrationError) {
    try full(
      SectionHeader(
        .full, id: id, name: section.name, instance: instance, version: SNPSection.version),
      body, to: output)
  }

  private static func full(
    _ header: SectionHeader, _ body: [UInt8], to output: SealingOutput
  ) throws(MigrationError) {
    var head: [UInt8] = []
    head.append(header)
    try output.append(head)
    try output.append(body)
    var foot: [UInt8] = []
    foot.appendFooter(id: header.id)
    try output.append(foot)
  }

  /// The start or end of a section whose parts have one fixed size: the no-operation record.
  private mutating func border(
    _ kind: SectionHeader.Kind, _ section: SNPSection, _ layout: RecordLayout
  ) throws(MigrationError) {
    var bytes: [UInt8] = []
    bytes.append(
      SectionHeader(kind, id: section.id, name: section.name, version: SNPSection.version))
    bytes += [UInt8](repeating: 0, count: layout.size)
    bytes.appendFooter(id: section.id)
    try output.append(bytes)
    if kind == .start { description.add(section, fields: StreamDescription.fields(layout)) }
  }
}

extension GuestReader {
  /// What the VMM keeps of the machine; nil when it is not known.
  /// - Throws: `MACHINE-SYNTAX`.
  func machine() throws(MigrationError) -> MachineState? {
    guard let bytes = description.machineState else { return nil }
    return try MachineState(bytes)
  }

  /// What of the guest its SVSM keeps: also what of the machine is the guest's own, registers and the
  /// state of its TPM.
  /// - Throws: `MACHINE-SYNTAX`; `SERVICE-SYNTAX` when that is too long; `IO-READ`.
  public func trustedState() throws(MigrationError) -> TrustedGuestState {
    var services = description.services
    if let sealed = try sealedMachine().encoded {
      services.append(
        try ServiceState(kind: .machine, version: 1, generation: 0, blob: sealed))
    }
    return TrustedGuestState(
      pageStates: description.pageStates, vcpus: description.vcpus, services: services)
  }
}
