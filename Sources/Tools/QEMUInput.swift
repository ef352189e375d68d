internal import ArgumentParser
internal import Errors
internal import FileIO
internal import QEMUStream
internal import Wire

/// Where a QEMU stream lies, and what comes beside it.
struct QEMUInputOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Capture of a multifd channel that belongs to the stream (may be repeated).",
      valueName: "file"),
    completion: .file())
  var channel: [String] = []

  @Option(
    help: ArgumentHelp(
      "Byte of the file at which the stream begins, as in QEMU's file:PATH,offset=N.",
      valueName: "n"))
  var offset: ByteCount?

  /// - Parameter stream: the main input.
  func validate(with stream: String) throws {
    guard ([stream] + channel).count(where: { $0 == "-" }) < 2 else {
      throw ValidationError("Standard input can be one input only.")
    }
  }
}

/// A QEMU stream that was found in a file or pipe.
struct QEMUInput {
  /// At the file header of the stream.
  let stream: StreamInput
  /// What the stream lies in, when it can be read at positions and its offsets are the file's.
  let positions: FilePositions?
  /// The header of a libvirt image that was in front.
  let image: LibvirtImage?
  let channels: [MultifdChannel]
  /// Stream offset of the first byte.
  let start: UInt64
  /// Stream offset of its end, where that is known.
  var end: UInt64? { positions?.size }

  /// - Throws: `STREAM-EMPTY` when nothing is there; codes of libvirt images and channels.
  init(_ file: InputFile, _ options: QEMUInputOptions) throws(MigrationError) {
    try self.init(file, from: options.offset?.value ?? 0, channels: options.channel)
  }

  /// - Parameters:
  ///   - offset: byte of the file at which the stream, or the image it is in, begins.
  ///   - channels: paths of multifd channels.
  /// - Throws: as above.
  init(
    _ file: InputFile, from offset: UInt64 = 0, channels: [String] = []
  ) throws(MigrationError) {
    let positions = FilePositions(file)
    var input: StreamInput
    if let positions {
      input = StreamInput(positions.source(from: offset), offset: offset)
    } else {
      input = StreamInput(FileSource(file))
      try input.skip(offset)
    }
    guard try !input.isAtEnd() else {
      let size = positions?.size ?? 0
      throw MigrationError(
        .streamEmpty, size == 0 ? "\(file.name) is empty" : "\(file.name) ends before --offset",
        at: size, expected: "a stream at byte \(Spelled.hex(offset))")
    }
    image = try LibvirtImage.begins(input) ? LibvirtImage(input) : nil
    if let image { input = try image.stream(in: input) }
    self.positions = image?.isPacked == true ? nil : positions
    start = input.offset
    // The chunks of a seal are counted from the stream's first byte: an input of its own.
    if start != 0 {
      let rest = self.positions?.source(from: start) ?? RestSource(of: input)
      input = StreamInput(rest, offset: start)
    }
    stream = input
    self.channels = try Self.channels(channels)
  }

  /// Refuses what only a plain QEMU stream can have: channels, something in front of it.
  /// - Throws: `STREAM-KIND`.
  func requireAlone() throws(MigrationError) {
    guard channels.isEmpty, start == 0, image == nil else {
      throw MigrationError(
        .streamKind, "an SNP stream stands alone in its file",
        expected: "a plain QEMU stream for --channel and --offset")
    }
  }

  /// - Throws: `IMAGE-PARTIAL` for an image that libvirt did not finish.
  func requireWholeImage() throws(MigrationError) {
    guard image?.isWhole ?? true else {
      throw MigrationError(
        .imagePartial, "libvirt did not finish this image", at: 0, expected: "LibvirtQemudSave",
        got: "LibvirtQemudPart")
    }
  }

  /// Reads the stream's events.
  /// - Throws: `IO-READ`.
  func reader() throws(MigrationError) -> QEMUStreamReader {
    let found = try description()
    return QEMUStreamReader(
      stream, description: found?.description, descriptionSize: found?.size, file: positions)
  }

  private static func channels(_ paths: [String]) throws(MigrationError) -> [MultifdChannel] {
    var channels: [MultifdChannel] = []
    for path in paths {
      let file = try InputFile(path)
      let channel = try MultifdChannel(
        StreamInput(FileSource(file), capacity: 256 << 10, limit: 2 << 20), name: file.name)
      if let other = channels.first(where: { $0.id == channel.id }) {
        throw MigrationError(
          .channelSyntax, "\(other.name) and \(file.name) are the same channel",
          in: .file(file.name), at: 24, expected: "each channel once", got: "channel \(channel.id)")
      }
      channels.append(channel)
    }
    return channels
  }

  /// The description at the end of a file and the bytes of its text, when it can be looked at before
  /// the rest: nil when there is none that can be read, and the walk tells why.
  private func description() throws(MigrationError) -> (description: VMDescription, size: Int)? {
    guard let positions, positions.size > start else { return nil }
    let count = Int(min(positions.size - start, UInt64(VMDescription.sizeLimit + 5)))
    var tail = [UInt8](repeating: 0, count: count)
    var span = tail.mutableSpan
    try positions.read(at: positions.size - UInt64(count), into: &span)
    guard let range = VMDescription.locate(inTail: tail.span) else { return nil }
    // In place: it may be as long as a description can be.
    tail.removeFirst(range.lowerBound)
    return (try? VMDescription(parsing: tail)).map { ($0, range.count) }
  }

  /// Adds to a refusal of what is no stream what it seems to be, or where in the file one seems to
  /// begin.
  func explain(_ error: MigrationError) -> MigrationError {
    guard error.code == .streamMagic, error.offset == start, let got = error.got else {
      return error
    }
    var explained = error
    if let kind = Self.otherKinds.first(where: { got.hasPrefix($0.magic) }) {
      explained.got = "\(got): \(kind.name)"
    } else if let positions, let place = try? Self.streamBehind(start, in: positions) {
      explained.expected =
        "\(error.expected ?? "QEVM"); a stream seems to begin at --offset \(Spelled.hex(place))"
    }
    return explained
  }

  /// First bytes of files that are taken for streams, in hex.
  private static let otherKinds = [
    (magic: "11223344", name: "a multifd channel; the main channel comes first"),
    (magic: "1f8b", name: "packed with gzip"), (magic: "fd377a58", name: "packed with xz"),
    (magic: "28b52ffd", name: "packed with zstd"), (magic: "425a68", name: "packed with bzip2"),
    (magic: "894c5a4f", name: "packed with lzop"), (magic: "7f454c46", name: "an ELF file"),
    (magic: "514649fb", name: "a qcow2 image"), (magic: "4b44554d", name: "a kdump image"),
  ]

  /// Bytes of a file in which a stream is looked for.
  private static let hintLimit: UInt64 = 1 << 20

  /// The first place behind `start` where a file header and a record stand.
  private static func streamBehind(
    _ start: UInt64, in positions: FilePositions
  ) throws(MigrationError) -> UInt64? {
    let end = min(positions.size, hintLimit)
    guard start < end else { return nil }
    var bytes = [UInt8](repeating: 0, count: Int(end - start))
    var span = bytes.mutableSpan
    try positions.read(at: start, into: &span)
    var header: [UInt8] = []
    header.append(bigEndian: StreamGrammar.magic)
    header.append(bigEndian: StreamGrammar.version)
    for place in bytes.indices.dropLast(header.count)
    where bytes[place] == header[0] && bytes[place..<place + header.count].elementsEqual(header) {
      switch RecordType(rawValue: bytes[place + header.count]) {
      case .configuration, .sectionStart, .sectionFull, .command: return start + UInt64(place)
      default: continue
      }
    }
    return nil
  }
}

/// A regular file as a source with positions.
final class FilePositions: PositionedSource {
  private let file: InputFile
  let size: UInt64

  /// - Returns: nil for anything but a regular file.
  init?(_ file: InputFile) {
    guard let size = file.size else { return nil }
    self.file = file
    self.size = size
  }

  func read(at offset: UInt64, into buffer: inout MutableSpan<UInt8>) throws(MigrationError) {
    try file.read(at: offset, into: &buffer)
  }

  func nextData(from offset: UInt64) throws(MigrationError) -> Range<UInt64>? {
    try file.nextData(from: offset)
  }

  func source(from offset: UInt64) -> any ByteSource { Rest(file, from: offset, to: size) }

  /// The bytes of a file from a position on, in order.
  private final class Rest: SparseSource {
    private let file: InputFile
    private var next: UInt64
    private let end: UInt64

    init(_ file: InputFile, from start: UInt64, to end: UInt64) {
      (self.file, self.next, self.end) = (file, min(start, end), end)
    }

    @unsafe func read(
      into buffer: UnsafeMutableRawBufferPointer
    ) throws(MigrationError) -> Int {
      let count = Int(min(UInt64(buffer.count), end - next))
      // A part of the caller's buffer, for the length of this call.
      try unsafe file.read(at: next, into: .init(rebasing: buffer[..<count]))
      next += UInt64(count)
      return count
    }

    func hole(before back: UInt64) throws(MigrationError) -> UInt64 {
      let place = next - back
      return (try file.nextData(from: place)?.lowerBound ?? end) - place
    }

    func pass(_ count: UInt64) { next += count }
  }
}
