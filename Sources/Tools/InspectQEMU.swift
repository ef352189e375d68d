internal import Bytes
internal import FileIO
internal import QEMUStream

/// Walks a plain QEMU stream and collects what is in it.
struct QEMUInspector {
  private var reader: QEMUStreamReader
  private let options: InspectionOptions
  private var found: Inspection
  private var section: SectionHeader?

  /// - Parameter description: the stream's own, when it could be looked up beforehand.
  init(_ input: StreamInput, description: VMDescription?, options: InspectionOptions) {
    reader = QEMUStreamReader(input, description: description)
    self.options = options
    found = Inspection(.qemu, options: options)
  }

  /// Reads to the end, or to what is refused.
  /// - Parameter progress: told how many bytes are read.
  consuming func inspect(progress: (UInt64) -> Void) -> Inspection {
    do throws(MigrationError) {
      while try step() { progress(reader.input.offset) }
    } catch {
      found.refusal = error
    }
    found.close(at: reader.input.offset)
    return found
  }

  private mutating func step() throws(MigrationError) -> Bool {
    let event = try reader.next()
    // Without footers a section ends where the next record begins.
    let footer: UInt64 = reader.hasFooters == false ? 0 : 5
    switch event {
    case .configuration: found.configuration = reader.configuration
    case .section(let header):
      found.sections.end(at: header.offset, footer: footer)
      found.sections.begin(header)
      try keepBody(header)
    case .ram(let record): take(record)
    case .command(let command):
      found.sections.end(at: command.offset, footer: footer)
      if found.commands.count < 1024 { found.commands.append(command) }
    case .endOfSections: found.sections.end(at: reader.input.offset - 1, footer: footer)
    case .description(let size):
      found.descriptionSize = size
      found.description = try VMDescription(
        parsing: Array(copying: reader.input.bytes.extracting(first: size)),
        at: reader.input.offset)
    case .end: return false
    }
    return true
  }

  private mutating func keepBody(_ header: SectionHeader) throws(MigrationError) {
    guard options.keepsBodies, header.kind == .full, header.name != RAMSection.name else { return }
    let size = try reader.requireBody()
    let input = reader.input
    found.bodies.keep(header, at: input.offset, input.bytes.extracting(first: size))
  }

  private mutating func take(_ record: RAMRecord) {
    if case .blockList = record {
      found.blocks = reader.ram.blocks.map { ($0.name.description, $0.length) }
    }
    guard let page = record.page else { return }
    if case .zero = record {
      found.sharedPages.note(page, isZero: true)
    } else {
      found.sharedPages.note(page, isZero: false)
    }
  }
}

extension VMDescription {
  /// Bytes at the end of a file in which a description is looked for.
  private static let tailLimit: UInt64 = 16 << 20

  /// The description at the end of a regular file; nil for a pipe, or when there is none that can
  /// be read: the walk tells why.
  /// - Throws: `IO-READ`.
  static func atEnd(of file: InputFile) throws(MigrationError) -> VMDescription? {
    guard let size = file.size else { return nil }
    let count = Int(min(size, tailLimit))
    var tail = [UInt8](repeating: 0, count: count)
    var span = tail.mutableSpan
    try file.read(at: size - UInt64(count), into: &span)
    guard let range = locate(inTail: tail.span) else { return nil }
    return try? VMDescription(parsing: Array(tail[range]))
  }
}

extension Inspection.Kind {
  /// What kind of stream lies at the front of `input`: its first section tells. Consumes nothing.
  /// - Returns: nil when there is no section; then reading it as a stream tells what it lacks.
  /// - Throws: `IO-READ`.
  init?(detecting input: StreamInput) throws(MigrationError) {
    // A file header, and a configuration with all its subsections, are shorter than this.
    _ = try input.available(atLeast: 4096)
    var cursor = ByteCursor(input.bytes)
    guard let name = try? Self.firstSection(&cursor) else { return nil }
    self = name == Array("snp-session".utf8) ? .snp : .qemu
  }

  private static func firstSection(_ cursor: inout ByteCursor) throws(MigrationError) -> [UInt8] {
    let magic = try cursor.read(UInt32.self)
    guard magic == StreamGrammar.magic else {
      throw MigrationError(.streamMagic, "not a QEMU migration stream")
    }
    _ = try cursor.take(4)
    var type = try cursor.read(UInt8.self)
    if type == RecordType.configuration.rawValue {
      let length = try cursor.read(UInt32.self)
      _ = try cursor.take(Int(length))
      type = try cursor.read(UInt8.self)
      while type == RecordType.subsection.rawValue {
        try skipSubsection(&cursor)
        type = try cursor.read(UInt8.self)
      }
    }
    _ = try cursor.take(4)
    return try cursor.takeArray(Int(cursor.read(UInt8.self)))
  }

  private static func skipSubsection(_ cursor: inout ByteCursor) throws(MigrationError) {
    let name = try cursor.takeArray(Int(cursor.read(UInt8.self)))
    _ = try cursor.take(4)
    switch SectionName(name) {
    case "configuration/target-page-bits": _ = try cursor.take(4)
    case "configuration/uuid": _ = try cursor.take(16)
    case "configuration/capabilities":
      for _ in 0..<min(try cursor.read(UInt32.self), 64) {
        _ = try cursor.take(Int(cursor.read(UInt8.self)))
      }
    default: throw MigrationError(.configuration, "unknown configuration subsection")
    }
  }
}
