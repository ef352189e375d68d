package import Errors
package import Guest
package import QEMUStream
internal import SEVSNP
package import SVSM
package import Threads
internal import Wire

/// The result of a load.
package struct LoadSummary: Sendable {
  /// Length of the stream in bytes.
  package var bytes: UInt64 = 0
  /// Number of epochs in which the memory came.
  package var epochs: UInt32 = 0
  /// Number of private pages restored.
  package var privatePages: UInt64 = 0
  /// Number of shared pages restored, zero pages included.
  package var sharedPages: UInt64 = 0
  /// The guest, as its SVSM restored it.
  package var guest: GuestDescription
  /// The transfer data of the session.
  package var transferData: TransferData
}

/// What a destination knows of a guest before its first page comes.
package struct IncomingMemory: Sendable {
  /// QEMU's name of the machine type.
  package var machine: String
  package var blocks: [Guest.RAMBlock]
  package var map: GuestMap
}

/// The destination side of a migration, as the VMM sees it: it reads the stream, passes to the SVSM
/// what the SVSM must process, and writes memory. Source: the source document's VMM table
/// (`Formats/api.md`).
///
/// All worker threads open private pages; this type decides in stream order what is accepted and
/// what is written.
package struct DestinationVMM: ~Copyable {
  /// Called with the number of stream bytes read so far.
  package typealias Progress = (UInt64) -> Void

  var stream: RecordPipeline
  private var memory: any GuestMemoryOutput = DiscardedMemory()
  private var run = SharedPageRun()
  var host = HostBooks()
  /// Number of the last epoch that was closed.
  private(set) var epochs: UInt32 = 0
  /// The transfer data of the session.
  private(set) var session: TransferData?

  /// - Parameters:
  ///   - input: the stream, at its first byte.
  ///   - crew: the worker threads.
  package init(_ input: StreamInput, crew: WorkCrew) {
    stream = RecordPipeline(SNPStreamReader(input, checkingSealWith: crew), crew: crew)
  }

  /// Receives a whole stream. The guest is restored only if this method returns; before the last
  /// byte nothing is guaranteed.
  ///
  /// - Parameters:
  ///   - begin: passes the transfer data, and its offset in the stream, to the destination SVSM.
  ///   - memory: creates the memory.
  ///   - progress: called from time to time.
  /// - Throws: any refusal, with section and offset.
  package mutating func receive(
    begin: (TransferData, UInt64) throws(MigrationError) -> DestinationSVSM,
    memory: (IncomingMemory) throws(MigrationError) -> any GuestMemoryOutput,
    progress: Progress
  ) throws(MigrationError) -> LoadSummary {
    var svsm = try receiveHead(begin: begin, memory: memory)
    let restored = try receiveRecords(&svsm, progress)
    let output = self.memory
    let guest = try host.describe(restored) { (block, content) throws(MigrationError) in
      try output.write(block: block, at: 0, content.span)
    }
    let sharedPages = try host.finish(restored, at: stream.reader.payloadOffset) {
      (page) throws(MigrationError) in
      try output.write(block: page.block, at: page.offset, Self.zeroPage.span)
    }
    guard let session else { throw MigrationError(.internal, "stream had no session") }
    return LoadSummary(
      bytes: stream.reader.offset, epochs: epochs,
      privatePages: guest.pageStates.pages(in: .validated), sharedPages: sharedPages,
      guest: guest, transferData: session)
  }

  /// Receives everything that precedes the pages: the session, the RAM blocks and their map.
  /// - Throws: any refusal, with section and offset.
  mutating func receiveHead(
    begin: (TransferData, UInt64) throws(MigrationError) -> DestinationSVSM,
    memory: (IncomingMemory) throws(MigrationError) -> any GuestMemoryOutput
  ) throws(MigrationError) -> DestinationSVSM {
    guard case .configuration(let configuration) = try stream.reader.next() else {
      throw MigrationError(.internal, "reader did not begin with the configuration")
    }
    host.machine = String(decoding: configuration.machine, as: UTF8.self)
    guard case .session(let transferData) = try stream.reader.next() else {
      throw MigrationError(.internal, "reader did not give the session")
    }
    session = transferData
    let svsm = try begin(transferData, stream.reader.payloadOffset)
    stream.makeImport = svsm.makeImport
    while stream.reader.guestBlocks.isEmpty { _ = try stream.reader.next() }
    host.take(stream.reader.guestBlocks)
    host.take(try receiveGuestMap())
    self.memory = try memory(
      IncomingMemory(machine: host.machine ?? "", blocks: host.blocks, map: host.map))
    return svsm
  }

  /// Reads up to the guest map, which follows the block list and precedes all pages.
  private mutating func receiveGuestMap() throws(MigrationError) -> GuestMap {
    while true {
      switch try stream.reader.next() {
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
      switch try stream.next() {
      case .record(.end):
        guard let restored else {
          throw MigrationError(.sectionMissing, "stream has no commit", expected: "snp-commit")
        }
        return restored
      case .pages(let batch):
        do throws(MigrationError) {
          try place(batch, batch.count, &svsm)
        } catch {
          throw error.within(.pages)
        }
      case .record(let record):
        try receiveNamed(record, &svsm, &restored)
      case .findings: break
      }
      progress(stream.reader.offset)
    }
  }

  /// Receives one record; a refusal names its section.
  // Inlined: most records are shared pages.
  @inline(__always)
  mutating func receiveNamed(
    _ record: SNPStreamReader.Record, _ svsm: inout DestinationSVSM,
    _ restored: inout RestoredState?
  ) throws(MigrationError) {
    do throws(MigrationError) {
      try receive(record, &svsm, &restored)
    } catch {
      throw stream.reader.section.map { error.within(.section($0.name)) } ?? error
    }
  }

  private mutating func receive(
    _ record: SNPStreamReader.Record, _ svsm: inout DestinationSVSM,
    _ restored: inout RestoredState?
  ) throws(MigrationError) {
    if case .ram(let record) = record { return try receiveSharedPage(record, &svsm) }
    try writeRun()
    let offset = stream.reader.payloadOffset
    switch record {
    case .machine(let frame): host.frame = frame
    case .device(let entry):
      // Moved out, not copied: a machine may have tens of thousands of entries.
      var filled = host.frame.take()
      try filled?.fill(entry, Array(copying: stream.reader.payload), from: .section)
      host.frame = filled
    case .token:
      let token = try svsm.processEpochToken(stream.reader.payload, at: offset)
      epochs = token.epoch
      if !token.isLast { host.beginEpoch() }
    case .final(let place):
      try svsm.processFinalState(stream.reader.payload, in: place, at: offset)
    case .commit:
      let state = try svsm.processCommit(stream.reader.payload, at: offset)
      try place(state.secretsPage)
      restored = state
    case .configuration, .session, .ram, .pages, .guestMap, .skipped, .eof, .seal,
      .vmdescription, .end:
      break
    }
  }

  // MARK: Private pages

  /// Places the first `count` pages of a batch.
  mutating func place(
    _ batch: PageBatch, _ count: Int, _ svsm: inout DestinationSVSM
  ) throws(MigrationError) {
    try writeRun()
    guard let pages = batch.pages else {
      throw MigrationError(.internal, "page records were not opened")
    }
    let isZeroed = memory.isZeroed
    defer { svsm.noteProcessed(pages, at: batch.offset(0)) }
    // Pages that are consecutive in the batch and in the block, and so are written by one call.
    var run = (first: 0, place: BlockExtent(block: 0, offset: 0, size: 0))
    for index in 0..<count {
      let offset = batch.offset(index)
      let metadata = try svsm.processPage(index, of: pages, at: offset)
      guard let place = try host.take(metadata, at: offset, MigrationError.refuse) else { continue }
      // In new memory a zero page that comes first for its address is left as a hole.
      let isWritten = place.wasTouched || !isZeroed || !pages.isZero(index)
      if run.place.size > 0,
        !isWritten || place.block != run.place.block || place.offset != run.place.end
      {
        try write(run.first, run.place, of: pages)
        run.place.size = 0
      }
      guard isWritten else { continue }
      if run.place.size == 0 {
        run = (index, BlockExtent(block: place.block, offset: place.offset, size: 0))
      }
      run.place.size += UInt64(PageMetadata.pageSize)
    }
    if run.place.size > 0 { try write(run.first, run.place, of: pages) }
  }

  private func write(
    _ first: Int, _ place: BlockExtent, of pages: PageImport
  ) throws(MigrationError) {
    let start = first * PageMetadata.pageSize
    try memory.write(
      block: place.block, at: place.offset,
      pages.contents.extracting(start..<start + Int(place.size)))
  }

  // MARK: Shared pages

  private mutating func receiveSharedPage(
    _ record: RAMRecord, _ svsm: inout DestinationSVSM
  ) throws(MigrationError) {
    guard let page = record.page else { return try writeRun() }
    let offset = stream.reader.payloadOffset
    var gpa = host.address(of: page)
    if let address = gpa, try !svsm.holdsPrivatePage(at: address) { gpa = nil }
    let wasTouched = try host.take(page, privateAt: gpa, at: offset, MigrationError.refuse)
    if record.payloadSize(page: Page.size) == 0 {
      guard wasTouched || !memory.isZeroed else { return }
      try writeRun()
      return try memory.write(block: page.block, at: page.offset, Self.zeroPage.span)
    }
    let segment = stream.reader.payloadSegment
    if run.append(page, at: offset, in: segment) { return }
    try writeRun()
    guard let content = stream.reader.pinPayload(0..<Page.size) else {
      throw MigrationError(.internal, "a page's content is not available")
    }
    run.begin(page, content, at: offset, in: segment)
  }

  private static let zeroPage = [UInt8](repeating: 0, count: Page.size)

  /// Writes the run of shared pages that was collected.
  mutating func writeRun() throws(MigrationError) {
    guard let ended = run.end() else { return }
    defer { stream.reader.unpin(ended.content) }
    let buffer = ended.content.buffer
    try memory.write(
      block: ended.place.block, at: ended.place.offset, buffer.span, ended.pieces)
  }

  private func place(_ secrets: (gpa: UInt64, page: [UInt8])?) throws(MigrationError) {
    guard let secrets else { return }
    guard let place = try host.locate(secretsPage: secrets.gpa, MigrationError.refuse) else {
      return
    }
    try memory.write(block: place.block, at: place.offset, secrets.page.span)
  }
}
