public import Bytes
public import Guest
public import QEMUStream
public import SVSM
public import Threads

/// Walks an SNP stream from its first byte to its last, record by record, and refuses whatever is
/// out of place.
///
/// It knows the container, the order of sections and the fixed parts of their bodies; it holds no
/// key and judges no content. With a crew to hash with it also hashes every byte as it passes and
/// checks the seal. What is behind a record stays at the front of the window, `payload`, until the next
/// call. Memory does not grow with the stream.
public struct SNPStreamReader: ~Copyable {
  /// What was found next.
  public enum Record {
    case configuration(Configuration)
    case session(TransferData)
    /// A record of shared memory; a page's content is the payload.
    case ram(RAMRecord)
    case guestMap(GuestMap)
    /// Page records of one part each, all at hand: the first at the front of the payload, the others
    /// `pageStride` bytes apart.
    case pages(count: Int)
    /// An epoch token: `EpochToken.layout.size` bytes of payload.
    case token
    /// What the VMM keeps of the machine; sections of its own follow.
    case machine(MachineFrame)
    /// A section of the machine's own: its body is the payload.
    case device(entry: Int)
    /// A final record: fixed part and ciphertext are the payload.
    case final(FinalRecord)
    /// The commit: `CommitRecord.layout.size` bytes of payload.
    case commit
    /// A section that need not be understood.
    case skipped(SectionHeader)
    /// The end of the sections.
    case eof
    case seal(Seal)
    /// The VM description: its text is the payload.
    case vmdescription
    /// Nothing follows.
    case end
  }

  private enum Phase {
    case configuration, sections, seal, vmdescription, trailing, ended
  }

  private let input: StreamInput
  private let sealCheck: SealCheck?
  /// Stream offset from which on a chunk can be hashed.
  private var nextHash: UInt64
  private var phase = Phase.configuration
  private var table = SectionTable()
  private var ram = RAMDecoder()
  private var pending = 0
  private var insideRAM = false
  private var order = SectionOrder()
  private var sourceKey: [UInt8] = []
  /// Sections of the machine's own that come next.
  private var devices: ArraySlice<(entry: Int, header: SectionHeader, length: Int)> = []

  /// The section that the last record lies in; nil outside of sections.
  public private(set) var section: SectionHeader?
  /// Stream offset of the last record's payload.
  public private(set) var payloadOffset: UInt64 = 0

  /// Bytes from one page record to the next: the record, the footer behind it, the head of a part.
  public static let pageStride = 5 + PageMetadata.recordSize + 5

  /// - Parameter crew: hashes the stream, so that its seal can be checked; nil when it is not.
  public init(_ input: StreamInput, checkingSealWith crew: WorkCrew?) {
    self.input = input
    sealCheck = crew.map { SealCheck(input, crew: $0) }
    nextHash = sealCheck?.due ?? .max
  }

  /// Bytes of the stream read so far.
  public var offset: UInt64 { input.offset }

  /// The last record's bytes, at the front of the window until the next call of `next`.
  public var payload: Span<UInt8> {
    @_lifetime(borrow self) get { input.bytes.extracting(first: pending) }
  }

  /// Pins bytes of the last record's payload, so that they stay when the next one is read; to be given
  /// back with `unpin`.
  /// - Returns: nil when they belong to a record too large to be pinned.
  func pinPayload(_ range: Range<Int>) -> PinnedBytes? { input.pinWindow(range) }

  /// Which segment of the stream the payload lies in; nil when it is too large for one.
  var payloadSegment: UInt64? { input.segmentOffset }

  /// Gives pinned bytes back.
  func unpin(_ bytes: PinnedBytes) { input.unpin(bytes) }

  /// RAM blocks, once the list was read.
  public private(set) var guestBlocks: [Guest.RAMBlock] = []

  /// Reads the next record.
  /// - Throws: what is wrong with the stream, with section and offset.
  public mutating func next() throws(MigrationError) -> Record {
    do {
      if input.offset >= nextHash { try hash() }
      if insideRAM { return try nextRAMRecord() }
      if pending > 0 { input.consume(pending) }
      pending = 0
      if let open = section {
        try input.readFooter(expecting: open.id)
        section = nil
      }
      return try nextRecord()
    } catch {
      throw section.map { error.inSection($0.name.description) } ?? error
    }
  }

  /// Hands what was read over to be hashed.
  private mutating func hash() throws(MigrationError) {
    guard let sealCheck else { return }
    try sealCheck.advance()
    nextHash = sealCheck.due
  }

  private mutating func nextRecord() throws(MigrationError) -> Record {
    switch phase {
    case .configuration:
      try input.readFileHeader()
      let start = input.offset
      guard try input.readRecordType() == .configuration else {
        throw MigrationError(.configuration, "no configuration section", at: start)
      }
      let configuration = try input.readConfiguration()
      guard configuration.capabilities == nil, configuration.targetPageBits == nil else {
        throw MigrationError(
          .configuration, "configuration asks for capabilities an SNP stream has not", at: start)
      }
      phase = .sections
      return .configuration(configuration)
    case .sections:
      return try nextSection()
    case .seal:
      phase = .vmdescription
      return .seal(try readSeal())
    case .vmdescription:
      phase = .trailing
      return try readVMDescription()
    case .trailing:
      guard try input.isAtEnd() else {
        throw MigrationError(.streamTrailing, "bytes after the VM description", at: input.offset)
      }
      phase = .ended
      return .end
    case .ended:
      return .end
    }
  }

  // MARK: Sections

  private mutating func nextSection() throws(MigrationError) -> Record {
    let start = input.offset
    let kind: SectionHeader.Kind
    switch try input.readRecordType() {
    case .sectionStart: kind = .start
    case .sectionPart: kind = .part
    case .sectionEnd: kind = .end
    case .sectionFull: kind = .full
    case .eof:
      guard order.reached == .commit, devices.isEmpty else {
        throw MigrationError(
          .sectionMissing, "stream ends before the commit", at: start, expected: "snp-commit")
      }
      phase = .seal
      return .eof
    case .command:
      throw MigrationError(.command, "an SNP stream holds no commands", at: start)
    case .subsection, .vmdescription, .configuration, .footer:
      throw MigrationError(.sectionType, "record out of place", at: start)
    }
    let header = try input.readSectionHeader(kind, in: &table)
    section = header
    payloadOffset = input.offset
    if let due = devices.popFirst() { return try readDevice(header, due) }
    guard let known = SNPSection(header.name) else { return try skip(header) }
    try order.take(known, header)
    return try readBody(of: known, header)
  }

  private mutating func skip(_ header: SectionHeader) throws(MigrationError) -> Record {
    guard order.reached != nil else { throw SectionOrder.notSNP(header) }
    guard header.version & SNPSection.optionalBit != 0, header.kind == .full else {
      throw MigrationError(
        .sectionUnknown, "section must be understood and is not", at: header.offset)
    }
    let length = try input.read(UInt32.self)
    guard length <= SNPSection.optionalLimit else {
      throw MigrationError(
        .sectionLength, "optional section is too long", at: payloadOffset,
        expected: "at most \(SNPSection.optionalLimit)", got: "\(length)")
    }
    var left = UInt64(length)
    while left > 0 {
      let step = min(left, UInt64(LeafHasher.chunkSize))
      try input.skip(step)
      try hash()
      left -= step
    }
    return .skipped(header)
  }

  private mutating func readDevice(
    _ header: SectionHeader, _ due: (entry: Int, header: SectionHeader, length: Int)
  ) throws(MigrationError) -> Record {
    guard header.kind == .full, header.name == due.header.name,
      header.instance == due.header.instance, header.version == due.header.version
    else {
      throw MigrationError(
        .sectionOrder, "section of the machine out of order", at: header.offset,
        expected: "\(due.header.name) instance \(due.header.instance)",
        got: "\(header.name) instance \(header.instance)")
    }
    try take(due.length)
    return .device(entry: due.entry)
  }

  private mutating func readMachine() throws(MigrationError) -> Record {
    try input.require(4)
    var head = ByteCursor(input.bytes, at: payloadOffset)
    let length = try head.read(UInt32.self)
    guard length <= MachineState.maximumSize - 4 else {
      throw MigrationError(
        .sectionLength, "machine state is too long", at: payloadOffset,
        expected: "at most \(MachineState.maximumSize - 4)", got: "\(length)")
    }
    try take(4 + Int(length))
    var cursor = ByteCursor(payload, at: payloadOffset)
    let frame = try MachineFrame(from: &cursor)
    devices = frame.following[...]
    return .machine(frame)
  }

  private mutating func readBody(
    of known: SNPSection, _ header: SectionHeader
  ) throws(MigrationError) -> Record {
    switch known {
    case .session:
      let fixed = TransferData.layout.size
      try input.require(fixed)
      let evidence = try TransferData.evidenceSize(
        fixedPart: input.bytes.extracting(first: fixed), at: payloadOffset)
      let data = try TransferData(try input.readArray(fixed + evidence), at: payloadOffset)
      sourceKey = data.sourceKey
      return .session(data)
    case .ram:
      insideRAM = true
      return try nextRAMRecord()
    case .guestMap:
      return .guestMap(try readGuestMap())
    case .pages:
      let record = try readPart(header, size: PageMetadata.recordSize, as: .pages(count: 1))
      guard header.kind == .part else { return record }
      let count = countPages(header.id)
      pending = (count - 1) * Self.pageStride + PageMetadata.recordSize
      return .pages(count: count)
    case .epochs:
      return try readPart(header, size: EpochToken.layout.size, as: .token)
    case .machine:
      return try readMachine()
    case .vcpu, .service, .secrets, .pageStates:
      return try readFinal(known, header)
    case .commit:
      try take(CommitRecord.layout.size)
      return .commit
    }
  }

  private mutating func take(_ count: Int) throws(MigrationError) {
    try input.require(count)
    pending = count
  }

  private mutating func readPart(
    _ header: SectionHeader, size: Int, as record: Record
  ) throws(MigrationError) -> Record {
    try take(size)
    guard header.kind != .part else { return record }
    let body = payload
    for index in body.indices where body[index] != 0 {
      throw MigrationError(
        .sectionReserved, "start and end of the section carry no record",
        at: payloadOffset + UInt64(index))
    }
    return .skipped(header)
  }

  /// How many page records stand at the front of the window, part after part and all read already:
  /// what is said of one part holds for the next.
  private func countPages(_ id: UInt32) -> Int {
    var border = [UInt8]()
    border.appendFooter(id: id)
    border.appendSectionHeader(.part, id: id)
    let window = input.bytes
    var (count, end) = (1, PageMetadata.recordSize)
    while end + Self.pageStride <= window.count,
      window.extracting(end..<end + border.count).isEqual(to: border)
    {
      end += Self.pageStride
      count += 1
    }
    return count
  }

  private mutating func readGuestMap() throws(MigrationError) -> GuestMap {
    // Taken whole: the count is checked before its entries are asked for.
    try input.require(GuestMap.headerLayout.size)
    var header = ByteCursor(input.bytes, at: payloadOffset)
    let count = try header.read(UInt32.self)
    guard count <= GuestMap.maximumCount else {
      throw MigrationError(
        .guestMap, "guest map has too many entries", at: payloadOffset,
        expected: "at most \(GuestMap.maximumCount)", got: "\(count)")
    }
    try take(GuestMap.headerLayout.size + Int(count) * GuestMap.entryLayout.size)
    var cursor = ByteCursor(payload, at: payloadOffset)
    return try GuestMap(from: &cursor, blocks: guestBlocks)
  }

  private mutating func noteBlocks() throws(MigrationError) {
    for block in ram.blocks {
      guard let name = String(validating: block.name.bytes, as: UTF8.self) else {
        throw MigrationError(
          .ramBlock, "name of a RAM block is not UTF-8", at: payloadOffset, got: "\(block.name)")
      }
      do throws(MigrationError) {
        guestBlocks.append(try Guest.RAMBlock(name: name, size: block.length))
      } catch {
        var error = error
        error.offset = payloadOffset
        throw error
      }
    }
  }

  private mutating func readFinal(
    _ known: SNPSection, _ header: SectionHeader
  ) throws(MigrationError) -> Record {
    try input.require(FinalRecord.layout.size)
    var cursor = ByteCursor(input.bytes, at: payloadOffset)
    let record = try FinalRecord(from: &cursor)
    guard record.kind == known.finalKind, record.index == header.instance else {
      throw MigrationError(
        .finalOrder, "final record is not of its section", at: payloadOffset,
        expected: "\(header.name) \(header.instance)", got: "\(record.kind) \(record.index)")
    }
    try take(FinalRecord.layout.size + Int(record.length))
    return .final(record)
  }

  // MARK: Shared memory

  private mutating func nextRAMRecord() throws(MigrationError) -> Record {
    // The decoder consumes the payload of its record before.
    pending = 0
    let record = try ram.next(from: input)
    payloadOffset = input.offset
    switch record {
    case .blockList:
      guard section?.kind == .start else {
        throw MigrationError(
          .ramList, "block list outside of the section's start", at: payloadOffset)
      }
      try noteBlocks()
    case .zero, .page:
      guard section?.kind == .part else {
        throw MigrationError(
          .sectionOrder, "page outside of the section's parts", at: payloadOffset)
      }
    case .end:
      guard !ram.blocks.isEmpty else {
        throw MigrationError(.ramList, "no RAM block is listed", at: payloadOffset)
      }
      insideRAM = false
    case .xbzrle, .compressed, .multifdFlush:
      throw MigrationError(
        .ramFlags, "an SNP stream has no such RAM record", at: payloadOffset, got: "\(record)")
    }
    pending = insideRAM ? record.payloadSize : 0
    return .ram(record)
  }

  // MARK: After the sections

  private mutating func readSeal() throws(MigrationError) -> Seal {
    try sealCheck?.streamEnds()
    return try SealCheck.read(from: input, check: sealCheck, signer: sourceKey)
  }

  private mutating func readVMDescription() throws(MigrationError) -> Record {
    let start = input.offset
    guard try input.peekByte() == RecordType.vmdescription.rawValue else {
      throw MigrationError(.vmdescriptionMissing, "no VM description after the seal", at: start)
    }
    input.consume(1)
    let count = try input.requireVMDescription()
    payloadOffset = input.offset
    try sealCheck?.checkTrailer(
      length: count, text: input.bytes.extracting(first: count), at: start)
    pending = count
    return .vmdescription
  }
}
