package import Errors
package import FileIO
package import QEMUStream
internal import Wire

/// A QEMU stream that was found in a file or pipe.
package struct QEMUInput {
  /// The input, positioned at the file header of the stream.
  package let stream: StreamInput
  /// The file that holds the stream, when it can be read at positions and its offsets are those of
  /// the stream.
  package let positions: (any PositionedSource)?
  /// The format in which the whole file is packed.
  package let packing: Packing?
  /// The header of the libvirt image that precedes the stream.
  package let image: LibvirtImage?
  /// The snapshot of a qcow2 image whose VM state is the stream.
  package let snapshot: QCow2Snapshot?
  package let channels: [MultifdChannel]
  private let supplied: [SuppliedBlock]
  /// Stream offset of the first byte.
  package let start: UInt64
  /// Bytes of the file after the given length, which are not read; nil when their number is
  /// unknown.
  package let rest: UInt64?
  /// Stream offset of the stream's end, where it is known.
  package var end: UInt64? { positions?.size }
  private let place: StreamPlace
  /// Kind of the bytes at the position where the stream should begin; nil for an unknown one.
  package let kind: FileKind?

  /// - Parameters:
  ///   - place: position and length of the stream in the file.
  ///   - channels: paths of multifd channels.
  ///   - memory: RAM blocks that are left to other files, and the paths of these files.
  /// - Throws: `STREAM-EMPTY` when there are no bytes; `STREAM-TRUNCATED` when the file ends before
  ///   the given length; codes of images and channels, `IMAGE-FORMAT` also for a stream that is packed
  ///   twice; `INPUT-KIND` for memory that is not in a regular file.
  package init(
    _ file: InputFile, at place: StreamPlace = StreamPlace(), channels: [String] = [],
    memory: [(block: SectionName, path: String)] = []
  ) throws(MigrationError) {
    self.place = place
    var found = try FoundStream(file, place)
    rest = found.rest
    snapshot = found.snapshot
    var kind = try FileKind(detecting: found.input)
    try found.requireOneLayer(kind)
    packing = kind.flatMap { Packing($0) }
    if let packing {
      found = FoundStream(try packing.content(of: found.input), within: .file(packing))
      kind = try FileKind(detecting: found.input)
    }
    image = kind == .libvirtImage ? try LibvirtImage(found.input, within: found.layer) : nil
    if let image {
      let input = try image.stream(in: found.input)
      found = image.isPacked ? FoundStream(input) : found
      kind = try FileKind(detecting: found.input)
    }
    try found.requireOneLayer(kind)
    self.kind = kind
    positions = found.positions
    start = found.input.offset
    // The chunks of a seal are counted from the stream's first byte, so the stream gets an input of
    // its own.
    if start != 0 {
      let rest = found.positions?.source(from: start) ?? RestSource(of: found.input)
      found.input = StreamInput(rest, offset: start)
    }
    stream = found.input
    self.channels = try Self.channels(channels)
    supplied = try memory.map { (block, path) throws(MigrationError) in
      let file = try InputFile(path, .regular)
      return SuppliedBlock(
        name: block, file: try FilePositions(regular: file), fileName: file.name)
    }
  }

  /// Puts the memory of the stream together, with what comes beside it.
  package func assembly(
    observe: @escaping RAMAssembly.Observer = { _, _, _ in }
  ) -> RAMAssembly {
    RAMAssembly(channels: channels, file: positions, supplied: supplied, observe: observe)
  }

  /// The internal snapshots of a qcow2 image.
  /// - Throws: `INPUT-KIND` for a file that is not a regular file; `IMAGE-HEADER`,
  ///   `STREAM-TRUNCATED`; `IO-READ`.
  package static func snapshots(in file: InputFile) throws(MigrationError) -> [QCow2Snapshot] {
    try QCow2Image(FilePositions(regular: file)).snapshots
  }

  /// Refuses additions that only a plain QEMU stream can have: channels, and a container around the
  /// stream.
  /// - Throws: `STREAM-KIND`.
  package func requireAlone() throws(MigrationError) {
    guard channels.isEmpty, supplied.isEmpty, place == StreamPlace(), start == 0, image == nil,
      packing == nil
    else {
      throw MigrationError(
        .streamKind, "an SNP stream must be alone in its file",
        expected: """
          a plain QEMU stream for \(.channel), \(.memory), \(.offset), \(.length) and packed files
          """)
    }
  }

  /// Refuses an unfinished libvirt image.
  /// - Throws: `IMAGE-PARTIAL`.
  package func requireWholeImage() throws(MigrationError) {
    guard image?.isWhole ?? true else {
      throw MigrationError(
        .imagePartial, "libvirt did not finish this image", at: 0, expected: "LibvirtQemudSave",
        got: "LibvirtQemudPart")
    }
  }

  /// Returns a reader of the stream's events.
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
        StreamInput(FileSource(file), capacity: 256 << 10, limit: 2 << 20), name: file.name,
        of: paths.count)
      if let other = channels.first(where: { $0.id == channel.id }) {
        throw MigrationError(
          .channelSyntax, "\(other.name) and \(file.name) are the same channel",
          in: .file(file.name), at: 24, expected: "each channel once", got: "channel \(channel.id)")
      }
      channels.append(channel)
    }
    return channels
  }

  // MARK: The description at the end

  /// The description at the end of a file and the size of its text in bytes, when it can be read
  /// before the rest. Nil when there is no readable description; reading the whole stream then
  /// gives the reason.
  private func description() throws(MigrationError) -> (description: VMDescription, size: Int)? {
    guard let positions, positions.size > start else { return nil }
    let end = try Self.contentEnd(of: positions, from: start)
    let count = Int(min(end - start, UInt64(VMDescription.sizeLimit + 5)))
    var tail = [UInt8](repeating: 0, count: count)
    var span = tail.mutableSpan
    try positions.read(at: end - UInt64(count), into: &span)
    guard let range = VMDescription.locate(inTail: tail.span) else { return nil }
    let text = tail.span.extracting(range)
    return (try? VMDescription(parsing: text)).map { ($0, range.count) }
  }

  /// Most zero bytes at the end that are searched for a description.
  private static let paddingLimit: UInt64 = 16 << 20

  /// Offset of the end of a stream in a file that may be padded with zero bytes.
  private static func contentEnd(
    of positions: any PositionedSource, from start: UInt64
  ) throws(MigrationError) -> UInt64 {
    let limit = positions.size - min(positions.size - start, paddingLimit)
    var piece = [UInt8](repeating: 0, count: 64 << 10)
    var end = positions.size
    while end > limit {
      let count = Int(min(UInt64(piece.count), end - limit))
      var span = piece.mutableSpan
      var part = span._mutatingExtracting(0..<count)
      try positions.read(at: end - UInt64(count), into: &part)
      if let last = piece[..<count].lastIndex(where: { $0 != 0 }) {
        return end - UInt64(count - last - 1)
      }
      end -= UInt64(count)
    }
    return positions.size
  }

  // MARK: Refusals

  /// Adds a hint to an error. If the bytes are not a stream, the hint names their likely kind, or
  /// the place in the file where a stream seems to begin. For bytes after the stream it tells how
  /// to leave them out.
  package func explain(_ error: MigrationError) -> MigrationError {
    guard let offset = error.offset else { return error }
    var explained = error
    if error.code == .streamTrailing, place.snapshot == nil, packing == nil, image?.isPacked != true
    {
      explained.expected = "\(.length) \(Hex.number(offset - place.offset)) to leave them out"
    }
    guard error.code == .streamMagic, offset == start, let got = error.got else { return explained }
    if let kind {
      explained.got = "\(got): \(kind.name)"
      if kind == .qcow2Image, place.offset == 0, let positions,
        let image = try? QCow2Image(positions)
      {
        explained.expected =
          "\(error.expected ?? "QEVM"); or with \(.snapshot) one of the image: \(image.summary)"
      }
    } else if let positions, let found = try? Self.stream(after: start, in: positions) {
      explained.expected =
        "\(error.expected ?? "QEVM"); a stream seems to begin at \(.offset) \(Hex.number(found))"
    }
    return explained
  }

  /// Bytes of a file that are searched for a stream.
  private static let hintLimit: UInt64 = 1 << 20

  /// The first offset after `start` at which a file header and a record are found.
  static func stream(
    after start: UInt64, in positions: any PositionedSource
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

/// The source of a stream's bytes, while the containers around the stream are removed.
private struct FoundStream {
  var input: StreamInput
  /// A source of the same bytes at the same offsets; nil when they can only be read in order.
  var positions: (any PositionedSource)?
  var snapshot: QCow2Snapshot?
  /// What unpacks the bytes.
  var layer: PackingLayer?
  /// Bytes of the file that are not part of the stream.
  var rest: UInt64?

  /// Makes a source that can only be read in order.
  init(_ input: StreamInput, within layer: PackingLayer? = nil) {
    (self.input, self.layer) = (input, layer)
  }

  /// Refuses bytes that are packed within a layer of packing.
  /// - Parameter kind: that of the next bytes.
  /// - Throws: `IMAGE-FORMAT`.
  func requireOneLayer(_ kind: FileKind?) throws(MigrationError) {
    if let layer, let inner = kind.flatMap({ Packing($0) }) {
      throw layer.refusal(of: inner, at: input.offset)
    }
  }

  /// Makes a source of the part of `file` that `place` names.
  init(_ file: InputFile, _ place: StreamPlace) throws(MigrationError) {
    if let name = place.snapshot {
      let image = try QCow2Image(FilePositions(regular: file))
      let snapshot = try image.snapshot(name)
      let state = try image.state(of: snapshot)
      (self.positions, self.snapshot) = (state, snapshot)
      input = StreamInput(state.source(from: 0))
      guard state.hasCompressedClusters else { return }
      layer = .clusters
      let size = file.size ?? 0
      input = StreamInput(
        LimitedContent(state.source(from: 0), name: "qcow2 image") { size })
      return
    }
    let end = place.length.map { place.offset.addingReportingOverflow($0) }
    if let size = file.size, let end {
      guard !end.overflow, end.partialValue <= size else {
        throw MigrationError(
          .streamTruncated, "\(file.name) ends before \(.length)", at: size,
          expected: "\(place.length ?? 0) bytes from byte \(Hex.number(place.offset))")
      }
      rest = size - end.partialValue
    }
    if let positions = FilePositions(file, to: end?.partialValue) {
      input = StreamInput(positions.source(from: place.offset), offset: place.offset)
      self.positions = positions
    } else {
      input = StreamInput(FileSource(file))
      try input.skip(place.offset)
      if let length = place.length {
        input = StreamInput(LimitedSource(input, count: length), offset: place.offset)
      }
    }
    guard try !input.isAtEnd() else {
      let size = file.size ?? 0
      throw MigrationError(
        .streamEmpty, size == 0 ? "\(file.name) is empty" : "\(file.name) ends before \(.offset)",
        at: size, expected: "a stream at byte \(Hex.number(place.offset))")
    }
  }
}
