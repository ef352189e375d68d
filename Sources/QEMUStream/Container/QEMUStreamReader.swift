package import Errors
internal import Wire

/// Reads a whole stream as QEMU writes it to a file or pipe: of any machine type, precopy or
/// postcopy, plain or mapped-ram. Of a multifd migration it reads the main channel.
///
/// Callers request events until `.end`. Between two events the caller may read from `input` the
/// bytes that belong to the first: the body of a section it knows (then it calls `bodyWasRead`),
/// the pages of a mapped-ram block, or bytes between the end of the sections and the description.
package struct QEMUStreamReader {
  /// Longest body of a device section whose footer is searched for: 16 MiB.
  package static let scanLimit = 16 << 20

  /// The input of the stream. It is replaced after each jump over the pages of a mapped-ram stream,
  /// so callers must not keep it unless they consume all pages.
  package private(set) var input: StreamInput
  /// The description from which lengths are taken: at first one that was found before reading,
  /// later the one that was read.
  package private(set) var description: VMDescription?
  /// Nil until read; stays nil in a stream without one.
  package private(set) var configuration: Configuration?
  package private(set) var sections = SectionTable(allowsRepetition: true)
  /// The decoder of RAM records, which knows the blocks after the event `.ram(.blockList)`.
  package private(set) var ram: RAMDecoder
  /// Number of zero bytes after the stream up to the end of the input, as padding of a file. Known
  /// at `.end`.
  package private(set) var padding: UInt64 = 0
  /// The reader of the data of a confidential guest; nil where dialects are not read.
  package private(set) var confidential: ConfidentialReader?
  /// Whether sections end with a footer; nil until the first one has ended.
  package private(set) var hasFooters: Bool?

  private enum State {
    case fileHeader
    case afterFileHeader
    case records
    case ramBody(SectionHeader)
    case mappedPages(SectionHeader, MappedBlock)
    /// `size` is nil until the body's length has been determined.
    case body(SectionHeader, start: UInt64, size: Int?)
    case closing(SectionHeader)
    case afterEOF
    case description(Int, isRead: Bool)
    case unreadable
    case afterDescription
    case ended
  }
  private var state = State.fileHeader
  private let file: (any PositionedSource)?
  /// Size in bytes of the text of `description`; nil when the text is not the stream's own, or has
  /// not been parsed.
  private var descriptionSize: Int?
  /// The sections of `description`.
  package private(set) var described: DescribedSections?
  /// The bodies to compare with a description at the end of the stream.
  private var passed = PassedBodies()
  /// Stream offset of the end of the package whose records are being read.
  private var packageEnd: UInt64?

  /// - Parameters:
  ///   - input: positioned at the first byte of the file header.
  ///   - description: description of the stream's sections, if it is known beforehand.
  ///   - descriptionSize: size in bytes of its text, if the caller found it at the stream's end.
  ///   - file: the file that `input` reads, with the same offsets; required for mapped-ram.
  package init(
    _ input: StreamInput, description: VMDescription? = nil, descriptionSize: Int? = nil,
    file: (any PositionedSource)? = nil
  ) {
    self.input = input
    self.description = description
    self.descriptionSize = description == nil ? nil : descriptionSize
    self.file = file
    described = description.map(DescribedSections.init)
    ram = RAMDecoder(page: description?.pageSize.flatMap { TargetPage(size: $0) })
  }

  /// Makes the reader accept the dialects of confidential guests, which are refused otherwise. Must
  /// be called before the first event.
  /// - Parameter refuse: receives each broken rule in data that are well formed.
  package mutating func readDialects(refuse: @escaping MigrationError.Refusal) {
    confidential = ConfidentialReader(refuse: refuse)
    ram.takesForeignWords = true
  }

  /// Reads up to the next event.
  /// - Throws: codes of the container and of RAM; `SECTION-LENGTH` when the end of a body cannot be
  ///   found; `VMDESC-MISMATCH` when a section does not end where its description says;
  ///   `STREAM-TRAILING` for bytes after the end that are not zero; `INPUT-KIND` for mapped-ram
  ///   input that is not a file. After an error the reader must not be used.
  package mutating func next() throws(MigrationError) -> StreamEvent {
    while true {
      switch state {
      case .ramBody(let header):
        guard let record = try ram.nextOrJump(from: input) else {
          return try mappedPages(in: header)
        }
        if record == .end { state = .closing(header) }
        return try confidential == nil ? .ram(record) : event(of: record)
      case .mappedPages(let header, let block):
        jumpOverPages(of: block)
        state = .ramBody(header)
      case .fileHeader:
        try input.readFileHeader()
        state = .afterFileHeader
      case .afterFileHeader:
        state = .records
        if try input.peekByte() == RecordType.configuration.rawValue {
          input.consume(1)
          let configuration = try input.readConfiguration()
          try take(configuration)
          return .configuration
        }
      case .records:
        try leavePackage()
        if let event = try record() { return event }
      case .body(let header, _, _):
        let size = try requireBody()
        input.consume(size)
        state = .closing(header)
      case .closing(let header):
        if description == nil { passed.end(at: input.offset) }
        try close(header)
        state = .records
      case .afterEOF:
        guard try input.peekByte() == RecordType.vmdescription.rawValue else { return try end() }
        input.consume(1)
        let size = try input.requireVMDescription()
        state = .description(size, isRead: false)
        return .description(size: size)
      case .description(let size, _):
        _ = try requireDescription()
        input.consume(size)
        state = .afterDescription
      case .unreadable:
        while try !input.isAtEnd() {
          let hole = try input.holeAhead()
          if hole > 0 { input.passHole(hole) } else { input.consume(input.count) }
        }
        return try end()
      case .afterDescription, .ended: return try end()
      }
    }
  }

  /// Makes the body of the current section contiguous at the front of the window, and finds its
  /// length by the description, or else by the footer. The next event consumes the body.
  ///
  /// The search for a footer is a heuristic: it looks for `7e`, the section's own id, and a byte
  /// that can begin a record. A body whose length is known from the description must end in the
  /// same way.
  /// - Returns: size of the body in bytes.
  /// - Throws: `SECTION-LENGTH`, `VMDESC-MISMATCH`, `STREAM-TRUNCATED`; `SECTION-ORDER` unless a
  ///   section other than `ram` has just begun.
  package mutating func requireBody() throws(MigrationError) -> Int {
    guard case .body(let header, let start, let known) = state, input.offset == start else {
      throw MigrationError(.sectionOrder, "no body is to be read here", at: input.offset)
    }
    if let known { return known }
    let size = try input.bodySize(
      of: header, described, hasFooters: hasFooters, isWhole: descriptionSize != nil)
    state = .body(header, start: start, size: size)
    return size
  }

  /// Notes that the caller has consumed the body of the current section, up to its footer.
  /// - Throws: `SECTION-ORDER` unless a section other than `ram` has just begun.
  package mutating func bodyWasRead() throws(MigrationError) {
    guard case .body(let header, _, _) = state else {
      throw MigrationError(.sectionOrder, "no body is to be read here", at: input.offset)
    }
    state = .closing(header)
  }

  /// Parses the description of the last event, and compares the sections read before it with it.
  /// Without this call, the next event does both and consumes the description.
  /// - Returns: the new value of `description`.
  /// - Throws: `VMDESC-SYNTAX`; `VMDESC-MISMATCH` at the place where a section had to end;
  ///   `SECTION-ORDER` when the last event was not a description.
  package mutating func requireDescription() throws(MigrationError) -> VMDescription {
    guard case .description(let size, let isRead) = state else {
      throw MigrationError(.sectionOrder, "no description is to be read here", at: input.offset)
    }
    // Two texts of the same length that both end with the stream are the same text.
    if isRead || descriptionSize == size, let description { return description }
    let input = self.input
    let found = try VMDescription(
      parsing: input.bytes.extracting(first: size), at: input.offset)
    let isFirst = description == nil
    let sections = DescribedSections(found)
    if let size = found.pageSize, size != UInt64(ram.page.size), !ram.blocks.isEmpty {
      throw MigrationError(
        .vmdescriptionMismatch, "pages have another size than described", at: input.offset,
        expected: "\(ram.page.size)", got: "\(size)")
    }
    (description, described) = (found, sections)
    if isFirst { try passed.check(against: sections) }
    state = .description(size, isRead: true)
    return found
  }

  // MARK: Records

  /// - Returns: nil for a record that only ends a package.
  private mutating func record() throws(MigrationError) -> StreamEvent? {
    if try confidential?.readRecord(from: input, after: sections) == true {
      return .confidential(nil)
    }
    let start = input.offset
    let type = try input.readRecordType()
    switch type {
    case .sectionStart: return try section(.start)
    case .sectionPart: return try section(.part)
    case .sectionEnd: return try section(.end)
    case .sectionFull: return try section(.full)
    case .command:
      let command = try input.readCommand()
      try take(command)
      return .command(command)
    case .eof:
      guard let packageEnd else {
        state = .afterEOF
        try confidential?.finish(sections, at: start)
        return .endOfSections
      }
      guard input.offset == packageEnd else {
        throw MigrationError(
          .sectionLength, "package has bytes after its end", in: .package,
          at: input.offset, expected: "its end at byte 0x" + String(packageEnd, radix: 16))
      }
      return nil
    case .subsection, .vmdescription, .configuration, .footer:
      throw MigrationError(
        .sectionType, "record type is out of place", at: start,
        got: Hex.number(type.rawValue))
    }
  }

  private mutating func section(_ kind: SectionHeader.Kind) throws(MigrationError) -> StreamEvent {
    let header = try input.readSectionHeader(kind, in: &sections)
    guard header.name == RAMSection.name else {
      if hasFooters == false, described?[header] == nil {
        state = .unreadable
        return .unreadable(header)
      }
      state = .body(header, start: input.offset, size: nil)
      if description == nil { passed.begin(header, at: input.offset) }
      return .section(header)
    }
    guard header.instance == 0, kind == .part || kind == .end || ram.blocks.isEmpty else {
      throw MigrationError(
        .sectionInstance, "section is repeated, or has another instance", in: .ram,
        at: header.offset, expected: "instance 0, once", got: "\(header.instance)")
    }
    guard header.version == RAMSection.version else {
      throw MigrationError(
        .sectionVersion, "section version is not read", in: .ram, at: header.offset,
        expected: "\(RAMSection.version)", got: "\(header.version)")
    }
    state = .ramBody(header)
    return .section(header)
  }

  /// The event for a record of a `ram` body, where dialects are read.
  private mutating func event(of record: RAMRecord) throws(MigrationError) -> StreamEvent {
    var foreign: ForeignWord?
    switch record {
    case .foreign(let word): foreign = word
    case .multifdFlush:
      let flush = ForeignWord(word: RAMFlags.multifdFlush, offset: input.offset &- 8)
      if try confidential?.isEncrypted(flush, in: input) == true { foreign = flush }
    case .end: try confidential?.endBody(at: input.offset)
    case .page, .zero, .xbzrle, .compressed, .blockList: break
    }
    guard let foreign else { return .ram(record) }
    return .confidential(try confidential?.read(foreign, &ram, from: input))
  }

  private mutating func close(_ header: SectionHeader) throws(MigrationError) {
    if hasFooters == nil {
      // Only a byte that begins a record shows that this stream has no footers.
      hasFooters = try input.peekByte().map { !StreamGrammar.beginsRecord($0) } ?? true
    }
    guard hasFooters == true else { return }
    do throws(MigrationError) {
      try input.readFooter(expecting: header.id)
    } catch {
      throw error.within(.section(header.name))
    }
  }

  private mutating func end() throws(MigrationError) -> StreamEvent {
    let end = input.offset
    while try !input.isAtEnd() {
      let hole = try input.holeAhead()
      if hole > 0 {
        input.passHole(hole)
        continue
      }
      guard input.bytes.isAllZero else {
        throw MigrationError(.streamTrailing, "bytes after the end of the stream", at: end)
      }
      input.consume(input.count)
    }
    padding += input.offset - end
    state = .ended
    return .end
  }

  // MARK: Records that change how the rest is read

  /// Some capabilities in the configuration change the layout of the block list.
  private mutating func take(_ configuration: Configuration) throws(MigrationError) {
    self.configuration = configuration
    let capabilities = configuration.capabilities ?? []
    ram.listForm.isMapped = capabilities.contains("mapped-ram")
    ram.listForm.hasAddresses = capabilities.contains("x-ignore-shared")
    if let bits = configuration.targetPageBits {
      guard let page = TargetPage(bits: bits) else {
        throw MigrationError(
          .configuration, "pages of this size are not read",
          in: .targetPageBits, at: input.offset, expected: "8 to 16 bits", got: "\(bits)")
      }
      ram.expect(page)
    } else if let page = TargetPage(machine: configuration.machine) {
      ram.expect(page)
    }
    guard ram.listForm.isMapped else { return }
    guard file != nil else {
      throw MigrationError(
        .inputKind, "a mapped-ram stream is not read in order", at: input.offset,
        expected: "a regular file, saved before it is read")
    }
  }

  private mutating func take(_ command: StreamCommand) throws(MigrationError) {
    switch command.code {
    case .postcopyAdvise:
      ram.listForm.pageSizes = command.payload.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    case .packaged:
      guard packageEnd == nil else {
        throw MigrationError(
          .command, "package within a package", in: .section(command.code.name), at: command.offset)
      }
      packageEnd = input.offset &+ command.payload.reduce(0) { $0 << 8 | UInt64($1) }
    default: break
    }
  }

  private mutating func leavePackage() throws(MigrationError) {
    guard let end = packageEnd, input.offset >= end else { return }
    guard input.offset == end else {
      throw MigrationError(
        .sectionLength, "record reaches beyond the end of its package", in: .package,
        at: end, got: "its end at byte 0x" + String(input.offset, radix: 16))
    }
    packageEnd = nil
  }

  private mutating func mappedPages(
    in header: SectionHeader
  ) throws(MigrationError) -> StreamEvent {
    guard let block = ram.mapped.last, let file else {
      throw MigrationError(.internal, "no block to jump over", at: input.offset)
    }
    guard block.end <= file.size else {
      throw MigrationError(
        .streamTruncated, "stream ends within the pages of a block", in: .ram,
        at: file.size, expected: "pages up to byte 0x" + String(block.end, radix: 16))
    }
    state = .mappedPages(header, block)
    return .mappedPages(block)
  }

  private mutating func jumpOverPages(of block: MappedBlock) {
    if let ahead = Int(exactly: block.end - input.offset), ahead <= input.count {
      input.consume(ahead)
    } else if let file {
      input = StreamInput(file.source(from: block.end), offset: block.end)
    }
  }
}
