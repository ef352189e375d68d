package import Errors
package import FileIO
package import QEMUStream
internal import Wire

/// A QEMU stream that was found in a file or pipe.
package struct QEMUInput {
  /// At the file header of the stream.
  package let stream: StreamInput
  /// What the stream lies in, when it can be read at positions and its offsets are the file's.
  package let positions: FilePositions?
  /// The header of a libvirt image that was in front.
  package let image: LibvirtImage?
  package let channels: [MultifdChannel]
  /// Stream offset of the first byte.
  package let start: UInt64
  /// Stream offset of its end, where that is known.
  package var end: UInt64? { positions?.size }

  /// - Parameters:
  ///   - offset: byte of the file at which the stream, or the image it is in, begins.
  ///   - channels: paths of multifd channels.
  /// - Throws: `STREAM-EMPTY` when nothing is there; codes of libvirt images and channels.
  package init(
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
        .streamEmpty, size == 0 ? "\(file.name) is empty" : "\(file.name) ends before \(.offset)",
        at: size, expected: "a stream at byte \(Hex.number(offset))")
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
  package func requireAlone() throws(MigrationError) {
    guard channels.isEmpty, start == 0, image == nil else {
      throw MigrationError(
        .streamKind, "an SNP stream stands alone in its file",
        expected: "a plain QEMU stream for \(.channel) and \(.offset)")
    }
  }

  /// - Throws: `IMAGE-PARTIAL` for an image that libvirt did not finish.
  package func requireWholeImage() throws(MigrationError) {
    guard image?.isWhole ?? true else {
      throw MigrationError(
        .imagePartial, "libvirt did not finish this image", at: 0, expected: "LibvirtQemudSave",
        got: "LibvirtQemudPart")
    }
  }

  /// Reads the stream's events.
  /// - Throws: `IO-READ`.
  package func reader() throws(MigrationError) -> QEMUStreamReader {
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
  package func explain(_ error: MigrationError) -> MigrationError {
    guard error.code == .streamMagic, error.offset == start, let got = error.got?.description else {
      return error
    }
    var explained = error
    if let kind = Self.otherKinds.first(where: { got.hasPrefix($0.magic) }) {
      explained.got = "\(got): \(kind.name)"
    } else if let positions, let place = try? Self.streamBehind(start, in: positions) {
      explained.expected =
        "\(error.expected ?? "QEVM"); a stream seems to begin at \(.offset) \(Hex.number(place))"
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
