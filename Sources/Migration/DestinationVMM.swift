public import Bytes
public import Guest
internal import QEMUStream
internal import SEVSNP
public import SVSM

/// What a load came to.
public struct LoadSummary: Sendable {
  /// Bytes of the stream.
  public var bytes: UInt64 = 0
  /// Private pages restored.
  public var privatePages: UInt64 = 0
  /// Shared pages restored, zero ones included.
  public var sharedPages: UInt64 = 0
  /// The guest, as its SVSM restored it.
  public var guest: GuestDescription
  /// What the session said of itself.
  public var transferData: TransferData
}

/// The destination side of a migration, seen from the VMM: reads the stream, hands the SVSM what is
/// its own, and puts memory in place. Source: the source document's VMM table (`Formats/api.md`).
public struct DestinationVMM: ~Copyable {
  /// Told how many bytes of the stream are read.
  public typealias Progress = (UInt64) -> Void

  private var reader: SNPStreamReader
  private var machine = ""
  private var map = GuestMap()
  private var books = SharedPageBooks(blocks: [])
  private var privatePages: UInt64 = 0
  private var sharedPages: UInt64 = 0

  /// - Parameter reader: at the start of a stream, checking its seal.
  public init(_ reader: consuming SNPStreamReader) { self.reader = reader }

  /// Receives a whole stream. The guest is restored only if this returns: nothing before the last
  /// byte is a promise.
  ///
  /// - Parameters:
  ///   - begin: hands the transfer data, and its offset, to the destination SVSM.
  ///   - memory: makes the memory of these RAM blocks, mapped like this.
  ///   - progress: called now and then.
  /// - Throws: whatever is refused, with section and offset.
  public mutating func receive(
    begin: (TransferData, UInt64) throws(MigrationError) -> DestinationSVSM,
    memory: ([Guest.RAMBlock], GuestMap) throws(MigrationError) -> any GuestMemoryOutput,
    progress: Progress
  ) throws(MigrationError) -> LoadSummary {
    guard case .configuration(let configuration) = try reader.next() else {
      throw MigrationError(.internal, "reader did not begin with the configuration")
    }
    guard let name = String(validating: configuration.machine, as: UTF8.self) else {
      throw MigrationError(
        .configuration, "machine name is not UTF-8", at: 8, got: configuration.machineText)
    }
    machine = name
    guard case .session(let transferData) = try reader.next() else {
      throw MigrationError(.internal, "reader did not give the session")
    }
    var svsm = try begin(transferData, reader.payloadOffset)
    while reader.guestBlocks.isEmpty { _ = try reader.next() }
    books = SharedPageBooks(blocks: reader.guestBlocks)
    map = try receiveGuestMap()
    var assembler = MemoryAssembler(try memory(reader.guestBlocks, map))
    let restored = try receiveRecords(&svsm, &assembler, progress)
    let guest = try describe(restored)
    try books.check(
      MemoryExtents(map: map, states: restored.guest.pageStates), at: reader.payloadOffset)
    try assembler.flush()
    return LoadSummary(
      bytes: reader.offset, privatePages: privatePages, sharedPages: sharedPages, guest: guest,
      transferData: transferData)
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
    _ svsm: inout DestinationSVSM, _ assembler: inout MemoryAssembler, _ progress: Progress
  ) throws(MigrationError) -> RestoredState {
    var restored: RestoredState?
    while true {
      let record = try reader.next()
      if case .end = record {
        guard let restored else {
          throw MigrationError(.sectionMissing, "stream has no commit", expected: "snp-commit")
        }
        return restored
      }
      do throws(MigrationError) {
        try receive(record, &svsm, &assembler, &restored)
      } catch {
        throw reader.section.map { error.inSection($0.name.description) } ?? error
      }
      progress(reader.offset)
    }
  }

  private mutating func receive(
    _ record: SNPStreamReader.Record, _ svsm: inout DestinationSVSM,
    _ assembler: inout MemoryAssembler, _ restored: inout RestoredState?
  ) throws(MigrationError) {
    switch record {
    case .page: try receivePrivatePage(&svsm, &assembler)
    case .ram(let record): try receiveSharedPage(record, &svsm, &assembler)
    case .token: try svsm.processEpochToken(reader.payload, at: reader.payloadOffset)
    case .final: try svsm.processFinalState(reader.payload, at: reader.payloadOffset)
    case .commit:
      let state = try svsm.processCommit(reader.payload, at: reader.payloadOffset)
      try place(state.secretsPage, &assembler)
      restored = state
    case .configuration, .session, .guestMap, .skipped, .eof, .seal, .vmdescription, .end: break
    }
  }

  private mutating func receivePrivatePage(
    _ svsm: inout DestinationSVSM, _ assembler: inout MemoryAssembler
  ) throws(MigrationError) {
    let buffer = assembler.buffer
    var target = buffer.mutableSpan
    let position = assembler.position
    let metadata = try svsm.processPage(
      reader.payload, into: &target, at: position, offset: reader.payloadOffset)
    guard let place = map.locate(metadata.gpa) else {
      throw MigrationError(
        .guestMap, "private page lies where no memory is mapped", at: reader.payloadOffset + 8,
        got: "gpa 0x\(String(metadata.gpa, radix: 16))")
    }
    let wasTouched = books.note(place.block, place.offset, isShared: false)
    if metadata.operation == .cancel {
      for index in position..<position + PageMetadata.pageSize { target[index] = 0 }
    } else {
      privatePages += 1
    }
    // New memory is zero: a first zero page leaves a hole.
    let page = buffer.span.extracting(position..<position + PageMetadata.pageSize)
    guard wasTouched || !page.isAllZero else { return }
    try assembler.place(place.block, place.offset)
  }

  private mutating func receiveSharedPage(
    _ record: RAMRecord, _ svsm: inout DestinationSVSM, _ assembler: inout MemoryAssembler
  ) throws(MigrationError) {
    guard let page = record.page else { return }
    if let gpa = map.gpa(block: page.block, offset: page.offset), svsm.holdsPrivatePage(at: gpa) {
      throw MigrationError(
        .mapSharedAtPrivate, "shared content comes for a private page", at: reader.payloadOffset,
        got: "gpa 0x\(String(gpa, radix: 16))")
    }
    let wasTouched = books.note(page.block, page.offset, isShared: true)
    sharedPages += 1
    guard wasTouched || record.payloadSize > 0 else { return }
    let buffer = assembler.buffer
    var target = buffer.mutableSpan
    let position = assembler.position
    if record.payloadSize > 0 {
      target.copy(reader.payload, to: position)
    } else {
      for index in position..<position + RAMSection.pageSize { target[index] = 0 }
    }
    try assembler.place(page.block, page.offset)
  }

  private mutating func place(
    _ secrets: (gpa: UInt64, page: [UInt8])?, _ assembler: inout MemoryAssembler
  ) throws(MigrationError) {
    guard let secrets else { return }
    guard let place = map.locate(secrets.gpa) else {
      throw MigrationError(
        .secretsPage, "secrets page lies where no memory is mapped",
        got: "gpa 0x\(String(secrets.gpa, radix: 16))")
    }
    let buffer = assembler.buffer
    var target = buffer.mutableSpan
    target.copy(secrets.page.span, to: assembler.position)
    try assembler.place(place.block, place.offset)
  }

  private func describe(_ restored: RestoredState) throws(MigrationError) -> GuestDescription {
    var attributes = GPARangeSet()
    for run in restored.guest.pageStates.runs where run.state.isPrivate {
      attributes.insert(try GPARange(start: run.gpa, end: run.end))
    }
    let guest = GuestDescription(
      machine: machine, ramBlocks: reader.guestBlocks, map: map, attributes: attributes,
      pageStates: restored.guest.pageStates, vcpus: restored.guest.vcpus,
      services: restored.guest.services)
    try guest.validate()
    return guest
  }
}
