package import Errors
package import Guest
package import QEMUStream
internal import SEVSNP
package import SVSM
package import Threads
internal import Wire

/// What a load came to.
package struct LoadSummary: Sendable {
  /// Bytes of the stream.
  package var bytes: UInt64 = 0
  /// Epochs in which the memory came.
  package var epochs: UInt32 = 0
  /// Private pages restored.
  package var privatePages: UInt64 = 0
  /// Shared pages restored, zero ones included.
  package var sharedPages: UInt64 = 0
  /// The guest, as its SVSM restored it.
  package var guest: GuestDescription
  /// What the session said of itself.
  package var transferData: TransferData
}

/// The destination side of a migration, seen from the VMM: reads the stream, hands the SVSM what is
/// its own, and puts memory in place. Source: the source document's VMM table (`Formats/api.md`).
///
/// Private pages are opened by all threads of a crew; what is believed, and what is written, is decided
/// in stream order here.
package struct DestinationVMM: ~Copyable {
  /// Told how many bytes of the stream are read.
  package typealias Progress = (UInt64) -> Void

  private let crew: WorkCrew
  private var reader: SNPStreamReader
  private var memory: any GuestMemoryOutput = DiscardedMemory()
  private var run = SharedPageRun()
  private let imports: InFlight<ImportBatch>
  private var machine = ""
  private var frame: MachineFrame?
  private var map = GuestMap()
  private var sealedBlocks: Set<Int> = []
  private var books = SharedPageBooks(blocks: [])
  private var epochs: UInt32 = 0

  /// - Parameters:
  ///   - input: at the start of a stream.
  ///   - crew: does the work.
  package init(_ input: StreamInput, crew: WorkCrew) {
    self.crew = crew
    reader = SNPStreamReader(input, checkingSealWith: crew)
    imports = InFlight(for: crew)
  }

  /// Receives a whole stream. The guest is restored only if this returns: nothing before the last
  /// byte is a promise.
  ///
  /// - Parameters:
  ///   - begin: hands the transfer data, and its offset, to the destination SVSM.
  ///   - memory: makes the memory of these RAM blocks, mapped like this.
  ///   - progress: called now and then.
  /// - Throws: whatever is refused, with section and offset.
  package mutating func receive(
    begin: (TransferData, UInt64) throws(MigrationError) -> DestinationSVSM,
    memory: ([Guest.RAMBlock], GuestMap) throws(MigrationError) -> any GuestMemoryOutput,
    progress: Progress
  ) throws(MigrationError) -> LoadSummary {
    guard case .configuration(let configuration) = try reader.next() else {
      throw MigrationError(.internal, "reader did not begin with the configuration")
    }
    machine = String(decoding: configuration.machine, as: UTF8.self)
    guard case .session(let transferData) = try reader.next() else {
      throw MigrationError(.internal, "reader did not give the session")
    }
    var svsm = try begin(transferData, reader.payloadOffset)
    while reader.guestBlocks.isEmpty { _ = try reader.next() }
    books = SharedPageBooks(blocks: reader.guestBlocks)
    map = try receiveGuestMap()
    sealedBlocks = map.sealedBlocks(of: reader.guestBlocks)
    self.memory = try memory(reader.guestBlocks, map)
    let restored = try receiveRecords(&svsm, progress)
    let output = self.memory
    let guest = try GuestDescription(
      restored, machine: machine, blocks: reader.guestBlocks, map: map, frame: frame
    ) { (block, content) throws(MigrationError) in
      try output.write(block: block, at: 0, content.span)
    }
    let extents = MemoryExtents(map: map, states: guest.pageStates)
    let sharedPages = try books.check(extents, at: reader.payloadOffset)
    try books.leftovers(extents) { (page) throws(MigrationError) in
      try output.write(block: page.block, at: page.offset, Self.zeroPage.span)
    }
    return LoadSummary(
      bytes: reader.offset, epochs: epochs, privatePages: guest.pageStates.pages(in: .validated),
      sharedPages: sharedPages, guest: guest, transferData: transferData)
  }

  /// The map follows the block list, before any page.
  private mutating func receiveGuestMap() throws(MigrationError) -> GuestMap {
    while true {
      switch try reader.next() {
      case .guestMap(let map): return map
      case .ram, .skipped: continue
      default: throw MigrationError(.internal, "reader did not give the guest map")
      }
    }
  }

  private mutating func receiveRecords(
    _ svsm: inout DestinationSVSM, _ progress: Progress
  ) throws(MigrationError) -> RestoredState {
    var restored: RestoredState?
    while true {
      let record: SNPStreamReader.Record
      do throws(MigrationError) {
        record = try reader.next()
      } catch {
        // What came before is refused first.
        try finishImports(&svsm)
        throw error
      }
      if case .end = record {
        guard let restored else {
          throw MigrationError(.sectionMissing, "stream has no commit", expected: "snp-commit")
        }
        return restored
      }
      if case .pages(let count) = record {
        try receivePrivatePages(count, &svsm)
      } else {
        try finishImports(&svsm)
        do throws(MigrationError) {
          try receive(record, &svsm, &restored)
        } catch {
          throw reader.section.map { error.within(.section($0.name)) } ?? error
        }
      }
      progress(reader.offset)
    }
  }

  private mutating func receive(
    _ record: SNPStreamReader.Record, _ svsm: inout DestinationSVSM,
    _ restored: inout RestoredState?
  ) throws(MigrationError) {
    if case .ram(let record) = record { return try receiveSharedPage(record, &svsm) }
    try writeRun()
    switch record {
    case .machine(let frame): self.frame = frame
    case .device(let entry):
      // Taken out, not copied: a machine may have tens of thousands.
      var filled = frame.take()
      try filled?.fill(entry, reader.payload, from: .section)
      frame = filled
    case .token:
      let token = try svsm.processEpochToken(reader.payload, at: reader.payloadOffset)
      epochs = token.epoch
      if !token.isLast { books.beginEpoch() }
    case .final(let place):
      try svsm.processFinalState(reader.payload, in: place, at: reader.payloadOffset)
    case .commit:
      let state = try svsm.processCommit(reader.payload, at: reader.payloadOffset)
      try place(state.secretsPage)
      restored = state
    case .configuration, .session, .ram, .pages, .guestMap, .skipped, .eof, .seal,
      .vmdescription, .end:
      break
    }
  }

  // MARK: Private pages

  private mutating func receivePrivatePages(
    _ count: Int, _ svsm: inout DestinationSVSM
  ) throws(MigrationError) {
    try writeRun()
    let stride = SNPStreamReader.pageStride
    var next = 0
    while next < count {
      if imports.isFull { try finishOldestImport(&svsm) }
      let batch =
        if let free = imports.takeFree() { free } else { ImportBatch(try svsm.makeImport()) }
      batch.count = min(count - next, PageImport.capacity)
      let start = next * stride
      guard
        let records = reader.pinPayload(
          start..<start + (batch.count - 1) * stride + PageMetadata.recordSize)
      else { throw MigrationError(.internal, "page records are not at hand") }
      (batch.records, batch.offset) = (records, reader.payloadOffset + UInt64(start))
      imports.submit(batch, to: crew)
      next += batch.count
    }
  }

  private mutating func finishImports(_ svsm: inout DestinationSVSM) throws(MigrationError) {
    while !imports.isEmpty { try finishOldestImport(&svsm) }
  }

  /// Processes the pages of the oldest batch, if there is one.
  private mutating func finishOldestImport(
    _ svsm: inout DestinationSVSM
  ) throws(MigrationError) {
    guard let batch = imports.finishOldest(with: crew) else { return }
    if let records = batch.records { reader.unpin(records) }
    batch.records = nil
    do throws(MigrationError) {
      try place(batch, &svsm)
    } catch {
      throw error.within(.pages)
    }
    imports.recycle(batch)
  }

  private mutating func place(
    _ batch: ImportBatch, _ svsm: inout DestinationSVSM
  ) throws(MigrationError) {
    // Pages that follow each other in the batch and in the block, to be written at once.
    var run = (first: 0, place: BlockExtent(block: 0, offset: 0, size: 0))
    for index in 0..<batch.count {
      let offset = batch.offset + UInt64(index * SNPStreamReader.pageStride)
      let metadata = try svsm.processPage(index, of: batch.pages, at: offset)
      guard let place = map.locate(metadata.gpa) else {
        throw MigrationError(
          .guestMap, "private page lies where no memory is mapped", at: offset + 8,
          got: "gpa 0x\(String(metadata.gpa, radix: 16))")
      }
      let known = books.notePrivate(place.block, place.offset)
      if known.isSharedNow { throw sharedAtPrivate(metadata.gpa, at: offset + 8) }
      // New memory is zero: a first zero page leaves a hole.
      let isWritten = known.wasTouched || !batch.pages.isZero(index)
      if run.place.size > 0,
        !isWritten || place.block != run.place.block || place.offset != run.place.end
      {
        try write(run.first, run.place, of: batch)
        run.place.size = 0
      }
      guard isWritten else { continue }
      if run.place.size == 0 {
        run = (index, BlockExtent(block: place.block, offset: place.offset, size: 0))
      }
      run.place.size += UInt64(PageMetadata.pageSize)
    }
    if run.place.size > 0 { try write(run.first, run.place, of: batch) }
  }

  private func write(
    _ first: Int, _ place: BlockExtent, of batch: ImportBatch
  ) throws(MigrationError) {
    let start = first * PageMetadata.pageSize
    let pages = batch.pages
    try memory.write(
      block: place.block, at: place.offset,
      pages.contents.extracting(start..<start + Int(place.size)))
  }

  // MARK: Shared pages

  private mutating func receiveSharedPage(
    _ record: RAMRecord, _ svsm: inout DestinationSVSM
  ) throws(MigrationError) {
    guard let page = record.page else { return try writeRun() }
    if let gpa = map.gpa(block: page.block, offset: page.offset), svsm.holdsPrivatePage(at: gpa) {
      throw sharedAtPrivate(gpa, at: reader.payloadOffset)
    }
    guard !sealedBlocks.contains(page.block) else {
      throw MigrationError(
        .mapSharedAtPrivate, "shared content comes for a block that is sealed",
        at: reader.payloadOffset, got: "\(reader.guestBlocks[page.block].name)")
    }
    let wasTouched = books.noteShared(page.block, page.offset)
    if record.payloadSize == 0 {
      guard wasTouched else { return }
      try writeRun()
      return try memory.write(block: page.block, at: page.offset, Self.zeroPage.span)
    }
    let segment = reader.payloadSegment
    if run.append(page, at: reader.payloadOffset, in: segment) { return }
    try writeRun()
    guard let content = reader.pinPayload(0..<RAMSection.pageSize) else {
      throw MigrationError(.internal, "a page's content is not at hand")
    }
    run.begin(page, content, at: reader.payloadOffset, in: segment)
  }

  private func sharedAtPrivate(_ gpa: UInt64, at offset: UInt64) -> MigrationError {
    MigrationError(
      .mapSharedAtPrivate, "shared content comes for a private page", at: offset,
      got: "gpa 0x\(String(gpa, radix: 16))")
  }

  private static let zeroPage = [UInt8](repeating: 0, count: RAMSection.pageSize)

  /// Writes the shared pages that were put together.
  private mutating func writeRun() throws(MigrationError) {
    guard let ended = run.end() else { return }
    defer { reader.unpin(ended.content) }
    let buffer = ended.content.buffer
    try memory.write(
      block: ended.place.block, at: ended.place.offset, buffer.span, ended.pieces)
  }

  private func place(_ secrets: (gpa: UInt64, page: [UInt8])?) throws(MigrationError) {
    guard let secrets else { return }
    guard let place = map.locate(secrets.gpa) else {
      throw MigrationError(
        .secretsPage, "secrets page lies where no memory is mapped",
        got: "gpa 0x\(String(secrets.gpa, radix: 16))")
    }
    try memory.write(block: place.block, at: place.offset, secrets.page.span)
  }
}
