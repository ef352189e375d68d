package import Errors
package import Guest
package import QEMUStream
package import SVSM
package import Threads
internal import Wire

/// Walks an SNP stream from its first byte to its last, record by record, and refuses everything
/// that is out of place.
///
/// It knows the container, the order of sections and the fixed parts of their bodies; it holds no
/// key and judges no content. With worker threads for hashing it also hashes every byte that passes
/// and checks the seal. The bytes of a record stay at the front of the window, as `payload`, until
/// the next call. Memory does not grow with the stream.
///
/// For an audit it reports what is wrong with a record that is otherwise well formed, and
/// continues. It still throws what leaves the position of the next record unknown.
package struct SNPStreamReader: ~Copyable {
  /// The next record.
  ///
  /// Records that come once in a stream are boxed, so that the records that come for each page are
  /// cheap to copy.
  package enum Record {
    indirect case configuration(Configuration)
    indirect case session(TransferData)
    /// A record of shared memory; a page's content is the payload.
    case ram(RAMRecord)
    indirect case guestMap(GuestMap)
    /// Page records, each in a part of its own, all of them read: the first is at the front of the
    /// payload, the others `pageStride` bytes apart.
    case pages(count: Int)
    /// An epoch token: `EpochToken.Layout.size` bytes of payload.
    case token
    /// The VMM's part of the machine state; sections of the machine follow.
    indirect case machine(MachineFrame)
    /// A section of the machine; its body is the payload.
    case device(entry: Int)
    /// A final record at this place; fixed part and ciphertext are the payload.
    case final(FinalRecord.Place)
    /// The commit: `CommitRecord.Layout.size` bytes of payload.
    case commit
    /// A section that need not be understood, or, in an audit, one whose body was refused.
    indirect case skipped(SectionHeader)
    /// The end of the sections.
    case eof
    indirect case seal(Seal)
    /// The VM description; its text is the payload.
    case vmdescription
    /// The end of the stream.
    case end
  }

  private enum Phase {
    case configuration, sections, seal, vmdescription, trailing, ended
  }

  let input: StreamInput
  private let sealCheck: SealCheck?
  /// Collects what is wrong, in an audit; nil otherwise.
  let findings: FindingLedger?
  /// Stream offset of the first byte.
  private let start: UInt64
  /// Stream offset from which on the next chunk can be hashed.
  private var nextHash: UInt64
  private var phase = Phase.configuration
  private var table = SectionTable()
  var ram = RAMDecoder()
  var pending = 0
  var insideRAM = false
  private var order = SectionOrder()
  var sourceKey: [UInt8] = []
  /// Sections of the machine that come next.
  var devices: ArraySlice<(entry: Int, header: SectionHeader, length: Int)> = []

  /// The section that holds the last record; nil outside of sections.
  package private(set) var section: SectionHeader?
  /// Stream offset of the last record's payload.
  package internal(set) var payloadOffset: UInt64 = 0

  /// Bytes from one page record to the next: the record, the footer after it, and the header of the
  /// next part.
  package static let pageStride =
    StreamGrammar.PartHeader.size + PageMetadata.recordSize + StreamGrammar.Footer.size

  /// - Parameter crew: the worker threads that hash the stream so that its seal can be checked; nil
  ///   for no check.
  package init(_ input: StreamInput, checkingSealWith crew: WorkCrew?) {
    self.init(input, checkingSealWith: crew, noting: nil)
  }

  /// - Parameter findings: collects what is wrong, in an audit.
  init(_ input: StreamInput, checkingSealWith crew: WorkCrew?, noting findings: FindingLedger?) {
    self.input = input
    self.findings = findings
    start = input.offset
    sealCheck = crew.map { SealCheck(input, crew: $0) }
    nextHash = sealCheck?.due ?? .max
  }

  /// Bytes of the stream read so far.
  package var offset: UInt64 { input.offset }

  /// The last record's bytes, at the front of the window until the next call of `next`.
  package var payload: Span<UInt8> {
    @_lifetime(borrow self) get { input.bytes.extracting(first: pending) }
  }

  /// Pins bytes of the last record's payload, so that they remain when the next record is read.
  /// They must be released with `unpin`.
  /// - Returns: nil when they belong to a record that is too large to be pinned.
  func pinPayload(_ range: Range<Int>) -> PinnedBytes? { input.pinWindow(range) }

  /// The segment of the stream that holds the payload; nil when the payload is too large for one
  /// segment.
  var payloadSegment: UInt64? { input.segmentOffset }

  /// Releases pinned bytes.
  func unpin(_ bytes: PinnedBytes) { input.unpin(bytes) }

  /// The RAM blocks, after their list was read.
  package internal(set) var guestBlocks: [Guest.RAMBlock] = []

  /// Handles a broken rule: an audit notes it, and otherwise it is thrown.
  var refuse: MigrationError.Refusal {
    guard let findings else { return MigrationError.refuse }
    let place = section.map { Place.section($0.name) }
    return { error throws(MigrationError) in
      try findings.noteRead(place.map { error.within($0) } ?? error)
    }
  }

  /// Reads the next record.
  /// - Throws: what is wrong with the stream, with section and offset.
  package mutating func next() throws(MigrationError) -> Record {
    do {
      if input.offset >= nextHash { try hash() }
      if insideRAM { return try nextRAMRecord() }
      if pending > 0 { input.consume(pending) }
      pending = 0
      if let open = section {
        try readFooter(of: open)
        section = nil
      }
      return try nextRecord()
    } catch {
      throw section.map { error.within(.section($0.name)) } ?? error
    }
  }

  /// Reads a footer. An audit accepts one that names another section, after reporting it.
  private mutating func readFooter(of open: SectionHeader) throws(MigrationError) {
    let start = input.offset
    do throws(MigrationError) {
      try input.readFooter(expecting: open.id)
    } catch {
      guard findings != nil, error.code == .sectionFooter,
        input.offset == start + UInt64(StreamGrammar.Footer.size)
      else { throw error }
      try refuse(error)
    }
  }

  /// Continues with the seal, if one is found, after records that cannot be followed.
  /// - Returns: whether `next` continues from there.
  mutating func resumeAtSeal() throws(MigrationError) -> Bool {
    guard let sealCheck, phase == .configuration || phase == .sections else { return false }
    (pending, insideRAM, section) = (0, false, nil)
    phase = .ended
    guard try sealCheck.find(in: input, streamStart: start) else { return false }
    phase = .seal
    return true
  }

  /// Hands over for hashing what was read.
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
        throw MigrationError(
          .configuration, "no configuration section", at: start, expected: "byte 0x7",
          got: "another record")
      }
      let configuration = try input.readConfiguration()
      if configuration.capabilities != nil || configuration.targetPageBits != nil {
        try refuse(
          MigrationError(
            .configuration, "configuration asks for capabilities that an SNP stream does not have",
            at: start,
            expected: "none", got: configuration.capabilities == nil ? "page bits" : "capabilities")
        )
      }
      if String(validating: configuration.machine, as: UTF8.self) == nil {
        try refuse(
          MigrationError(
            .configuration, "machine name is not UTF-8", at: start, expected: "UTF-8",
            got: configuration.machineText))
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
        throw MigrationError(
          .streamTrailing, "bytes after the VM description", at: input.offset, expected: "the end",
          got: "more bytes")
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
          .sectionMissing, "stream ends before the commit", at: start, expected: "snp-commit",
          got: "the end of the sections")
      }
      phase = .seal
      return .eof
    case .command:
      throw MigrationError(
        .command, "an SNP stream holds no commands", at: start, expected: "a section or the end",
        got: "byte 0x8")
    case .subsection, .vmdescription, .configuration, .footer:
      throw MigrationError(
        .sectionType, "record out of place", at: start, expected: "a section or the end",
        got: "another record")
    }
    let header = try input.readSectionHeader(kind, in: &table)
    section = header
    payloadOffset = input.offset
    if let due = devices.popFirst() { return try readDevice(header, due) }
    guard let known = SNPSection(header.name) else { return try skip(header) }
    try order.take(known, header, refuse: refuse)
    return try readBody(of: known, header)
  }

  private mutating func skip(_ header: SectionHeader) throws(MigrationError) -> Record {
    guard order.reached != nil else { throw SectionOrder.notSNP(header) }
    guard header.version & SNPSection.optionalBit != 0, header.kind == .full else {
      throw MigrationError(
        .sectionUnknown, "mandatory section is unknown", at: header.offset,
        expected: "a section of the format, or bit 31 of the version",
        got: "\(header.name) version \(header.version)")
    }
    let length = try input.read(UInt32.self)
    guard length <= SNPSection.optionalLimit else {
      throw MigrationError(
        .sectionLength, "optional section is too long", at: payloadOffset,
        expected: "at most \(SNPSection.optionalLimit)", got: "\(length)")
    }
    var left = UInt64(length)
    while left > 0 {
      let step = min(left, UInt64(Seal.chunkSize))
      try input.skip(step)
      try hash()
      left -= step
    }
    return .skipped(header)
  }

  // MARK: Shared memory

  mutating func nextRAMRecord() throws(MigrationError) -> Record {
    // The decoder consumes the payload of its previous record.
    pending = 0
    let record = try ram.next(from: input)
    payloadOffset = input.offset
    switch record {
    case .blockList:
      guard case .start = section?.kind else {
        throw MigrationError(
          .ramList, "block list outside of the section's start", at: payloadOffset)
      }
      try noteBlocks()
    case .zero, .page:
      guard case .part = section?.kind else {
        throw MigrationError(
          .sectionOrder, "page outside of the section's parts", at: payloadOffset)
      }
    case .end:
      guard !ram.blocks.isEmpty else {
        throw MigrationError(.ramList, "no RAM block is listed", at: payloadOffset)
      }
      insideRAM = false
    case .xbzrle, .compressed, .multifdFlush, .foreign:
      throw MigrationError(
        .ramFlags, "RAM record is not allowed in an SNP stream", at: payloadOffset, got: "\(record)"
      )
    }
    pending = insideRAM ? record.payloadSize(page: Page.size) : 0
    return .ram(record)
  }

  // MARK: After the sections

  private mutating func readSeal() throws(MigrationError) -> Seal {
    try sealCheck?.streamEnds()
    // An audit may get here without a session.
    let signer = sourceKey.isEmpty ? nil : sourceKey
    return try SealCheck.read(
      from: input, of: .snp, check: sealCheck, signer: signer, streamStart: start, refuse: refuse)
  }

  private mutating func readVMDescription() throws(MigrationError) -> Record {
    let start = input.offset
    guard try input.peekByte() == RecordType.vmdescription.rawValue else {
      throw MigrationError(
        .vmdescriptionMissing, "no VM description after the seal", at: start, expected: "byte 0x6",
        got: try input.nextText())
    }
    input.consume(1)
    let count = try input.requireVMDescription()
    payloadOffset = input.offset
    try sealCheck?.checkTrailer(
      length: count, text: input.bytes.extracting(first: count), at: start, refuse: refuse)
    pending = count
    return .vmdescription
  }
}
