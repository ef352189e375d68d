public import Errors
internal import QEMUStream
internal import Wire

/// A migration stream as stock QEMU writes it to a file: of any machine type, precopy or postcopy, plain or
/// mapped-ram.
public struct QEMUStreamContents: Sendable {
  /// What a stream holds, in its order.
  public enum Element: Sendable, Equatable {
    /// QEMU's name of the machine type the stream is for.
    case machine(String)
    /// The RAM blocks of the machine. They come before any page.
    case blocks([Block])
    /// A section of a device with its body.
    case section(Section)
    /// A command between sections, by QEMU's name of it.
    case command(String)
    /// The text of the VM description, JSON.
    case description([UInt8])
  }

  /// A RAM block: QEMU's unit of guest memory.
  public struct Block: Sendable, Equatable {
    /// QEMU's name, such as `pc.ram`.
    public let name: String
    /// Bytes.
    public let size: UInt64
  }

  /// One section that is not RAM.
  public struct Section: Sendable, Equatable {
    /// QEMU's name of the device.
    public let name: String
    /// Tells sections of one name apart.
    public let instance: UInt32
    /// Version of the body's layout.
    public let version: UInt32
    /// Bytes from the start of the stream to the section.
    public let offset: UInt64
    /// The device's state, as QEMU wrote it.
    public let body: [UInt8]
  }

  private let bytes: [UInt8]

  /// - Parameter bytes: the whole stream.
  public init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// Reads the whole stream, in time linear in its length.
  /// - Parameters:
  ///   - memory: puts the guest's memory together; nil when nobody wants it.
  ///   - visit: told of each element in the order of the stream.
  /// - Throws: the rule of the format that the stream breaks, with place and byte (`Formats/errors.md`); what
  ///   `visit` throws.
  public func read(
    into memory: QEMUMemory? = nil, _ visit: (Element) throws(MigrationError) -> Void
  ) throws(MigrationError) {
    let file = BytesInMemory(bytes)
    let assembly = RAMAssembly(file: file)
    var reader = QEMUStreamReader(
      StreamInput(ArraySource(bytes)), description: description, file: file)
    while true {
      switch try reader.next() {
      case .configuration:
        guard let machine = reader.configuration?.machine else { break }
        try visit(.machine(String(decoding: machine, as: UTF8.self)))
      case .section(let header) where header.name != RAMSection.name:
        try visit(.section(section(header, &reader)))
      case .ram(.blockList):
        let blocks = reader.ram.blocks.map { Block(name: $0.name.description, size: $0.length) }
        try memory?.begin(blocks)
        try assembly.begin(reader.ram, of: reader.configuration, into: memory)
        try visit(.blocks(blocks))
      case .ram(let record): try assembly.take(record, from: reader.input, page: reader.ram.page)
      case .command(let command):
        if command.code == .postcopyRAMDiscard { try assembly.discard(command) }
        try visit(.command(command.code.name))
      case .description(let size):
        try visit(.description(Array(copying: reader.input.bytes.extracting(first: size))))
      case .end:
        try assembly.finish()
        return try assembly.flush()
      case .section, .confidential, .unreadable, .mappedPages, .endOfSections: break
      }
    }
  }

  /// The description at the end, when there is one that can be read.
  private var description: VMDescription? {
    VMDescription.locate(inTail: bytes.span).flatMap {
      try? VMDescription(parsing: bytes.span.extracting($0))
    }
  }

  private func section(
    _ header: SectionHeader, _ reader: inout QEMUStreamReader
  ) throws(MigrationError) -> Section {
    let size = try reader.requireBody()
    let input = reader.input
    return Section(
      name: header.name.description, instance: header.instance, version: header.version,
      offset: header.offset, body: Array(copying: input.bytes.extracting(first: size)))
  }
}

/// The memory of a stream's RAM blocks, in arrays.
public final class QEMUMemory {
  /// Bytes that all blocks may have together.
  public let limit: UInt64
  /// The content of each block, in the order of the block list. Pages that did not come are zero.
  public private(set) var blocks: [[UInt8]] = []
  private var names: [String] = []

  /// - Parameter limit: bytes that all blocks may have together: a stream of a few bytes can name terabytes.
  public init(limit: UInt64 = 1 << 30) { self.limit = limit }

  /// The content of the block of this name; nil when the stream has none.
  public subscript(name: String) -> [UInt8]? {
    names.firstIndex(of: name).map { blocks[$0] }
  }

  func begin(_ blocks: [QEMUStreamContents.Block]) throws(MigrationError) {
    var left = limit
    for block in blocks {
      guard block.size <= left, let size = Int(exactly: block.size) else {
        throw MigrationError(
          .guestShape, "guest memory exceeds the supported size",
          expected: "at most \(limit) bytes")
      }
      left -= block.size
      names.append(block.name)
      self.blocks.append([UInt8](repeating: 0, count: size))
    }
  }
}

extension QEMUMemory: RAMStore {
  package func write(
    block: Int, at offset: UInt64, _ bytes: Span<UInt8>
  ) throws(MigrationError) {
    // Taken out while it is changed, so that it is not copied.
    var content: [UInt8] = []
    swap(&content, &blocks[block])
    defer { swap(&content, &blocks[block]) }
    var memory = content.mutableSpan
    memory.copy(bytes, to: Int(offset))
  }

  package func read(
    block: Int, at offset: UInt64, into buffer: inout MutableSpan<UInt8>
  ) throws(MigrationError) {
    let (content, start) = (blocks[block], Int(offset))
    let memory = content.span
    buffer.copy(memory.extracting(start..<start + buffer.count), to: 0)
  }
}

/// The bytes of a stream, for what is read at a position of it.
private final class BytesInMemory: PositionedSource {
  private let bytes: [UInt8]

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  var size: UInt64 { UInt64(bytes.count) }

  func read(at offset: UInt64, into buffer: inout MutableSpan<UInt8>) throws(MigrationError) {
    guard let start = Int(exactly: offset), start <= bytes.count - buffer.count else {
      throw MigrationError(.readFailed, "read past the end of the stream", at: offset)
    }
    let bytes = bytes
    let memory = bytes.span
    buffer.copy(memory.extracting(start..<start + buffer.count), to: 0)
  }

  func nextData(from offset: UInt64) throws(MigrationError) -> Range<UInt64>? {
    offset < size ? offset..<size : nil
  }
}
