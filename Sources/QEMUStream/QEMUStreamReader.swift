public import Bytes

/// What `QEMUStreamReader` meets next.
public enum StreamEvent: Equatable, Sendable {
  /// The machine is known: `reader.configuration`.
  case configuration
  /// A section begins. For `ram`, its records follow as `.ram`. For any other, its body comes next
  /// in the input: see `QEMUStreamReader.requireBody` and `bodyWasRead`.
  case section(SectionHeader)
  /// A record of a `ram` section; a payload is at the front of the window until the next event.
  case ram(RAMRecord)
  case command(StreamCommand)
  /// The sections are over.
  case endOfSections
  /// A VM description of so many bytes is at the front of the window until the next event.
  case description(size: Int)
  /// Nothing follows.
  case end
}

/// Reads a whole stream of QEMU 2.4 or later, as QEMU writes it to a file or pipe: precopy, on one
/// channel.
///
/// Ask for events until `.end`. Between two events the caller may read from `input` what belongs
/// to the first: the body of a section it knows (then `bodyWasRead`), or bytes between the end of
/// the sections and the description.
public struct QEMUStreamReader {
  /// Longest body of a device section that is looked for by its footer: 16 MiB.
  public static let scanLimit = 16 << 20

  public let input: StreamInput
  /// What lengths are taken from, when it was found before reading.
  public let description: VMDescription?
  /// Nil until read; stays nil in a stream without one.
  public private(set) var configuration: Configuration?
  public private(set) var sections = SectionTable()
  /// Knows the blocks once `.ram(.blockList)` came.
  public private(set) var ram = RAMDecoder()
  /// Whether sections end with a footer; nil until the first one has ended.
  public private(set) var hasFooters: Bool?

  private enum State {
    case fileHeader
    case afterFileHeader
    case records
    case ramBody(SectionHeader)
    /// `size`: nil until the body's length was asked for.
    case body(SectionHeader, start: UInt64, size: Int?)
    case closing(SectionHeader)
    case afterEOF
    case description(Int)
    case afterDescription
    case ended
  }
  private var state = State.fileHeader

  /// - Parameters:
  ///   - input: at the first byte of the file header.
  ///   - description: the stream's own, if the caller could look at its end first.
  public init(_ input: StreamInput, description: VMDescription? = nil) {
    self.input = input
    self.description = description
  }

  /// Reads up to the next event.
  /// - Throws: codes of the container and of RAM; `SECTION-LENGTH` when the end of a body cannot be
  ///   found; `VMDESC-MISMATCH` when a section does not end where its description says;
  ///   `STREAM-TRAILING` for bytes after the end. After an error the reader must not be used.
  public mutating func next() throws(MigrationError) -> StreamEvent {
    while true {
      switch state {
      case .ramBody(let header):
        let record = try ram.next(from: input)
        if record == .end { state = .closing(header) }
        return .ram(record)
      case .fileHeader:
        try input.readFileHeader()
        state = .afterFileHeader
      case .afterFileHeader:
        state = .records
        if try input.peekByte() == RecordType.configuration.rawValue {
          input.consume(1)
          let configuration = try input.readConfiguration()
          try QEMUStreamReader.check(configuration, at: input.offset)
          self.configuration = configuration
          return .configuration
        }
      case .records: return try record()
      case .body(let header, _, _):
        let size = try requireBody()
        input.consume(size)
        state = .closing(header)
      case .closing(let header):
        try close(header)
        state = .records
      case .afterEOF:
        guard try input.peekByte() == RecordType.vmdescription.rawValue else { return try end() }
        input.consume(1)
        let size = try input.requireVMDescription()
        state = .description(size)
        return .description(size: size)
      case .description(let size):
        input.consume(size)
        state = .afterDescription
      case .afterDescription, .ended: return try end()
      }
    }
  }

  /// Makes the body of the section just begun contiguous at the front of the window, and finds its
  /// length: by the description, else by its footer. The next event consumes it.
  ///
  /// The footer is a heuristic: `7e`, the section's own id, and a byte that can begin a record. A
  /// body found by description must end the same way.
  /// - Returns: bytes of the body.
  /// - Throws: `SECTION-LENGTH`, `VMDESC-MISMATCH`, `STREAM-TRUNCATED`; `SECTION-ORDER` when no
  ///   section but `ram` was just begun.
  public mutating func requireBody() throws(MigrationError) -> Int {
    guard case .body(let header, let start, let known) = state, input.offset == start else {
      throw MigrationError(.sectionOrder, "no body is to be read here", at: input.offset)
    }
    if let known { return known }
    let size: Int
    if let device = description?.device(header.name, instance: header.instance) {
      size = try describedSize(device, of: header)
    } else {
      size = try scannedSize(of: header)
    }
    state = .body(header, start: start, size: size)
    return size
  }

  /// Tells that the caller consumed the body of the section just begun, up to its footer.
  /// - Throws: `SECTION-ORDER` when no section but `ram` was just begun.
  public mutating func bodyWasRead() throws(MigrationError) {
    guard case .body(let header, _, _) = state else {
      throw MigrationError(.sectionOrder, "no body is to be read here", at: input.offset)
    }
    state = .closing(header)
  }

  private mutating func record() throws(MigrationError) -> StreamEvent {
    let start = input.offset
    let type = try input.readRecordType()
    switch type {
    case .sectionStart: return try section(.start)
    case .sectionPart: return try section(.part)
    case .sectionEnd: return try section(.end)
    case .sectionFull: return try section(.full)
    case .command:
      let command = try input.readCommand()
      guard command.code != .packaged else {
        throw MigrationError(
          .command, "postcopy streams are not read", section: command.code.name, at: start)
      }
      return .command(command)
    case .eof:
      state = .afterEOF
      return .endOfSections
    case .subsection, .vmdescription, .configuration, .footer:
      throw MigrationError(
        .sectionType, "record type is out of place", at: start,
        got: "0x" + String(type.rawValue, radix: 16))
    }
  }

  private mutating func section(_ kind: SectionHeader.Kind) throws(MigrationError) -> StreamEvent {
    let header = try input.readSectionHeader(kind, in: &sections)
    guard header.name == RAMSection.name else {
      state = .body(header, start: input.offset, size: nil)
      return .section(header)
    }
    guard header.instance == 0 else {
      throw MigrationError(
        .sectionInstance, "section has another instance", section: "ram", at: header.offset,
        expected: "0", got: "\(header.instance)")
    }
    guard header.version == RAMSection.version else {
      throw MigrationError(
        .sectionVersion, "section version is not read", section: "ram", at: header.offset,
        expected: "\(RAMSection.version)", got: "\(header.version)")
    }
    state = .ramBody(header)
    return .section(header)
  }

  private mutating func close(_ header: SectionHeader) throws(MigrationError) {
    if hasFooters == nil {
      // Only a byte that begins a record shows that this stream has no footers.
      hasFooters = try input.peekByte().map { !QEMUStreamReader.beginsRecord($0) } ?? true
    }
    guard hasFooters == true else { return }
    do throws(MigrationError) {
      try input.readFooter(expecting: header.id)
    } catch {
      throw error.inSection(header.name.description)
    }
  }

  private func describedSize(
    _ device: VMDescription.Device, of header: SectionHeader
  ) throws(MigrationError) -> Int {
    let name = header.name.description
    guard let size = device.body.size else {
      throw MigrationError(.vmdescriptionSyntax, "described size is too large", section: name)
    }
    try input.require(size)
    if hasFooters != false, try input.available(atLeast: size + 5) >= size + 5 {
      let isFooter = QEMUStreamReader.isFooter(header.id, in: input.bytes, at: size)
      guard isFooter || hasFooters == nil else {
        throw MigrationError(
          .vmdescriptionMismatch, "section does not end where its description says",
          section: name, at: input.offset &+ UInt64(size), expected: "its footer")
      }
    }
    return size
  }

  private func scannedSize(of header: SectionHeader) throws(MigrationError) -> Int {
    guard hasFooters != false else {
      throw MigrationError(
        .sectionLength, "section's length is unknown: no description, no footers",
        section: header.name.description, at: input.offset)
    }
    var searched = 0
    while true {
      // The footer, and the byte that begins the next record.
      try input.require(searched + 6)
      let window = input.bytes
      while searched + 6 <= window.count, searched <= QEMUStreamReader.scanLimit {
        if QEMUStreamReader.isFooter(header.id, in: window, at: searched),
          QEMUStreamReader.beginsRecord(window[searched + 5])
        {
          return searched
        }
        searched += 1
      }
      guard searched <= QEMUStreamReader.scanLimit else {
        throw MigrationError(
          .sectionLength, "section's footer was not found",
          section: header.name.description, at: input.offset,
          expected: "within \(QEMUStreamReader.scanLimit) bytes")
      }
    }
  }

  private static func isFooter(_ id: UInt32, in window: Span<UInt8>, at place: Int) -> Bool {
    guard window[place] == RecordType.footer.rawValue else { return false }
    var found: UInt32 = 0
    for index in place + 1..<place + 5 { found = found << 8 | UInt32(window[index]) }
    return found == id
  }

  /// Whether `byte` can stand where a record begins, among the sections.
  private static func beginsRecord(_ byte: UInt8) -> Bool {
    switch RecordType(rawValue: byte) {
    case .eof, .sectionStart, .sectionPart, .sectionEnd, .sectionFull, .command: true
    default: false
    }
  }

  private mutating func end() throws(MigrationError) -> StreamEvent {
    guard try input.isAtEnd() else {
      throw MigrationError(.streamTrailing, "bytes after the end of the stream", at: input.offset)
    }
    state = .ended
    return .end
  }

  /// Capabilities listed there change the block list in ways that are not read.
  private static func check(
    _ configuration: Configuration, at offset: UInt64
  ) throws(MigrationError) {
    for capability in configuration.capabilities ?? []
    where capability == "mapped-ram" || capability == "x-ignore-shared" {
      throw MigrationError(
        .configuration, "streams with this capability are not read", at: offset,
        got: capability.description)
    }
  }
}
