public import Bytes
public import FileIO
public import Guest
internal import QEMUStream
internal import SEVSNP
public import SVSM

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
public struct SourceVMM: ~Copyable {
  /// Told how many bytes of guest memory are done.
  public typealias Progress = (UInt64) -> Void

  /// Shared pages in one part of the `ram` section.
  private static let pagesPerPart: UInt64 = 16384
  /// Bytes of guest memory read at once.
  private static let batchSize = 256 << 10

  private let guest: GuestReader
  private var svsm: SourceSVSM
  private let output: SealingOutput
  private var ram: RAMEncoder
  private var description: StreamDescription
  private var finalIDs: UInt32 = SNPSection.firstFinalID
  private var summary = SaveSummary()
  private let batch = PageBuffer(count: SourceVMM.batchSize)
  private var done: UInt64 = 0

  /// - Parameters:
  ///   - guest: where memory is read from.
  ///   - svsm: the guest's SVSM, its session begun.
  ///   - output: where the stream goes.
  /// - Throws: `RAM-BLOCK` when a block's name is no section name.
  public init(
    guest: GuestReader, svsm: consuming SourceSVSM, output: any ByteOutput
  ) throws(MigrationError) {
    var blocks: [QEMUStream.RAMBlock] = []
    for block in guest.description.ramBlocks {
      guard let name = SectionName(block.name) else {
        throw MigrationError(.ramBlock, "RAM block has no usable name")
      }
      blocks.append(.init(name: name, length: block.size))
    }
    let sealing = try SealingOutput(output)
    self.guest = guest
    self.svsm = svsm
    self.output = sealing
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
    try closeEpoch()
    try sendFinalState()
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
    for extent in extents.extents(where: { $0 == .validated }) {
      var next: UInt64 = 0
      while next < extent.place.size {
        let size = Int(min(UInt64(Self.batchSize), extent.place.size - next))
        try fill(size, extent.place.block, extent.place.offset + next)
        for page in stride(from: 0, to: size, by: PageMetadata.pageSize) {
          try sendPrivatePage(extent.gpa + next + UInt64(page), page)
        }
        next += UInt64(size)
        advance(size, progress)
      }
    }
  }

  private mutating func sendPrivatePage(
    _ gpa: UInt64, _ position: Int
  ) throws(MigrationError) {
    let id = SNPSection.pages.id
    let head = 5
    let body = PageMetadata.recordSize
    let batch = self.batch
    try output.append(head + body + 5) { (buffer, start) throws(MigrationError) in
      buffer[start] = RecordType.sectionPart.rawValue
      putID(id, &buffer, start + 1)
      let page = batch.span.extracting(position..<position + PageMetadata.pageSize)
      try svsm.packagePage(at: gpa, page, into: &buffer, at: start + head)
      buffer[start + head + body] = RecordType.footer.rawValue
      putID(id, &buffer, start + head + body + 1)
    }
    summary.privatePages += 1
  }

  /// Sends what is shared with the host, in the traditional manner.
  public mutating func sendSharedPages(_ progress: Progress) throws(MigrationError) {
    let description = guest.description
    let extents = MemoryExtents(map: description.map, states: description.pageStates)
    var left: UInt64 = 0
    var records: [UInt8] = []
    for extent in extents.shared(blockSizes: description.ramBlocks.map { $0.size }) {
      var next = extent.offset
      while next < extent.end {
        if left == 0 {
          records.appendSectionHeader(.part, id: SNPSection.ram.id)
          left = Self.pagesPerPart
        }
        let size = min(UInt64(Self.batchSize), extent.end - next, left * 4096)
        try appendShared(extent.block, next, Int(size), &records)
        try output.append(records)
        records.removeAll(keepingCapacity: true)
        next += size
        left -= size / 4096
        if left == 0 { endRAMBody(&records) }
        advance(Int(size), progress)
      }
    }
    if left > 0 { endRAMBody(&records) }
    try output.append(records)
  }

  private func endRAMBody(_ records: inout [UInt8]) {
    ram.appendEnd(to: &records)
    records.appendFooter(id: SNPSection.ram.id)
  }

  private mutating func appendShared(
    _ block: Int, _ offset: UInt64, _ size: Int, _ records: inout [UInt8]
  ) throws(MigrationError) {
    try fill(size, block, offset)
    let batch = self.batch
    for position in stride(from: 0, to: size, by: RAMSection.pageSize) {
      let place = RAMPage(block: block, offset: offset + UInt64(position))
      let page = batch.span.extracting(position..<position + RAMSection.pageSize)
      if page.isAllZero {
        ram.appendZero(place, to: &records)
        summary.zeroPages += 1
      } else {
        ram.appendPageHeader(place, to: &records)
        records.append(copying: page)
        summary.sharedPages += 1
      }
    }
  }

  /// Closes the epoch: everything was sent while the guest was paused, so it is the last.
  public mutating func closeEpoch() throws(MigrationError) {
    let id = SNPSection.epochs.id
    var bytes: [UInt8] = []
    bytes.appendSectionHeader(.part, id: id)
    bytes += try svsm.closeEpoch(isLast: true)
    bytes.appendFooter(id: id)
    bytes.appendSectionHeader(.end, id: SNPSection.ram.id)
    endRAMBody(&bytes)
    try output.append(bytes)
    try border(.end, .pages, PageMetadata.recordLayout)
    try border(.end, .epochs, EpochToken.layout)
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

  /// Fills the batch buffer with guest memory.
  private mutating func fill(
    _ size: Int, _ block: Int, _ offset: UInt64
  ) throws(MigrationError) {
    let batch = self.batch
    var span = batch.mutableSpan
    // `size` is at most the batch's own size.
    try unsafe span.withUnsafeMutableBytes { (bytes) throws(MigrationError) in
      try unsafe guest.read(block: block, at: offset, into: .init(rebasing: bytes[..<size]))
    }
  }

  private mutating func advance(_ size: Int, _ progress: Progress) {
    done += UInt64(size)
    progress(done)
  }

  private mutating func full(_ section: SNPSection, _ body: [UInt8]) throws(MigrationError) {
    try Self.full(section, id: section.id, instance: 0, body, to: output)
  }

  private static func full(
    _ section: SNPSection, id: UInt32, instance: UInt32, _ body: [UInt8], to output: SealingOutput
  ) throws(MigrationError) {
    var head: [UInt8] = []
    head.append(
      SectionHeader(
        .full, id: id, name: section.name, instance: instance, version: SNPSection.version))
    try output.append(head)
    try output.append(body)
    var foot: [UInt8] = []
    foot.appendFooter(id: id)
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

private func putID(_ id: UInt32, _ buffer: inout MutableSpan<UInt8>, _ at: Int) {
  for index in 0..<4 {
    buffer[at + index] = UInt8(truncatingIfNeeded: id >> UInt32(24 - 8 * index))
  }
}

extension GuestReader {
  /// What of the guest its SVSM keeps.
  public var trustedState: TrustedGuestState {
    TrustedGuestState(
      pageStates: description.pageStates, vcpus: description.vcpus, services: description.services)
  }
}
