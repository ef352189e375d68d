package import Errors
internal import FileIO
package import Guest
package import Migration
internal import PageSets
package import QEMUStream
internal import SEVSNP
internal import SVSM
internal import Wire

/// Reads the stream of a QEMU whose guest runs, and hands each page on as it comes.
///
/// The map of the memory is needed before the first page. Here it is what the names and sizes of the
/// RAM blocks tell; the sections that come later must tell the same.
package struct LiveImport: ~Copyable {
  private var reader: QEMUStreamReader
  private var parts: StreamGuest
  private let packed = PackedRecords()
  /// The last content of pages that came more than once, which deltas refer to, and the memory of
  /// blocks that the SVSM carries: in a temporary file without a name.
  private var kept: TemporaryMemory?
  private var isKept = PageSet()
  /// Those of them that were written to the file: there the others read as zeros.
  private var isWritten = PageSet()
  private var sealed: Set<Int> = []
  /// Whether QEMU has paused the guest: it does so before it ends the section of memory.
  package private(set) var isPaused = false
  /// The guest, as far as it is known before its first page; nil before `begin`.
  package private(set) var guest: GuestDescription?

  package init(_ stream: StreamInput, _ additions: ImportAdditions) {
    reader = QEMUStreamReader(stream)
    parts = StreamGuest(additions)
  }

  /// Bytes of QEMU's stream that were read.
  package var offset: UInt64 { reader.input.offset }

  /// Reads up to the list of RAM blocks.
  /// - Returns: the guest, without vCPUs.
  /// - Throws: the errors of the stream; `STREAM-KIND` for an SNP stream; `INPUT-KIND` for a stream that
  ///   cannot be carried live; `STREAM-CONFIGURATION`; `MAP-LAYOUT`.
  package mutating func begin() throws(MigrationError) -> GuestDescription {
    while true {
      let event = try reader.next()
      try parts.take(event, from: &reader)
      switch event {
      case .configuration: try requireCapabilities()
      case .section(let header) where header.name == "snp-session":
        throw MigrationError(
          .streamKind, "an SNP stream is for svsm-mig-load", in: .section(header.name),
          at: header.offset, expected: "a plain QEMU stream")
      case .command(let command): try requireLive(command)
      case .ram(.blockList): return try describe()
      case .end, .endOfSections:
        throw MigrationError(
          .ramList, "stream has no RAM", at: reader.input.offset, expected: "section ram")
      default: break
      }
    }
  }

  /// Reads the rest and hands the pages on.
  /// - Parameters:
  ///   - source: begun, with the guest of `begin`.
  ///   - progress: called after each part.
  /// - Returns: the paused guest.
  /// - Throws: the errors of the stream and of `source`; `MAP-LAYOUT` when the map that was sent turns
  ///   out to be another one; `INPUT-KIND`.
  package mutating func run(
    into source: inout LiveSource, progress: (borrowing LiveSource) throws(MigrationError) -> Void
  ) throws(MigrationError) -> GuestReader {
    while true {
      let event = try reader.next()
      try parts.take(event, from: &reader)
      switch event {
      case .section(let header) where header.name == RAMSection.name:
        if reader.hasFooters == false {
          throw unfit("sections without footers", "a machine type of 2.4 or later")
        }
        if header.kind == .end, !isPaused {
          isPaused = true
          try source.pause()
        }
      case .ram(.end):
        try source.flush()
        try progress(source)
      case .ram(let record): try hand(record, to: &source)
      case .command(let command): try requireLive(command)
      case .description: _ = try reader.requireDescription()
      case .unreadable(let header):
        throw unfit("section \(header.name) of unknown length", "footers")
      case .end: return try finish()
      default: break
      }
    }
  }

  // MARK: What cannot be carried live

  private func unfit(_ what: String, _ expected: String) -> MigrationError {
    MigrationError(
      .inputKind, "\(what) cannot be carried live", at: reader.input.offset, expected: expected)
  }

  private func requireCapabilities() throws(MigrationError) {
    for name in reader.configuration?.capabilities ?? []
    where ["x-ignore-shared", "mapped-ram"].contains(name) {
      throw unfit("a stream with \(name)", "pages in the stream")
    }
  }

  private func requireLive(_ command: StreamCommand) throws(MigrationError) {
    switch command.code {
    // QEMU would wait for answers that a command of `exec:` cannot give.
    case .openReturnPath:
      throw unfit("a stream with return-path", "neither return-path nor postcopy")
    // Without a payload it announces dirty bitmaps alone.
    case .postcopyAdvise where command.payload.isEmpty: break
    case .postcopyAdvise, .postcopyListen, .postcopyRun, .postcopyRAMDiscard, .packaged:
      throw unfit("postcopy", "precopy")
    default: break
    }
  }

  // MARK: The guest

  private mutating func describe() throws(MigrationError) -> GuestDescription {
    let offset = reader.input.offset
    try parts.requirePages(of: reader.ram, at: offset)
    try reader.ram.requireMemory(at: offset)
    guard reader.configuration != nil else {
      throw unfit("a stream without a configuration", "a machine type of 2.4 or later")
    }
    parts.blocks = try Guest.RAMBlock.blocks(of: reader.ram, at: offset)
    let machine = try parts.machineName(reader)
    var early = StreamGuest(parts.additions)
    early.blocks = parts.blocks
    early.endEarly()
    let guest = try parts.describe(machine, early.map(on: machine), vcpus: [])
    sealed = guest.map.sealedBlocks(of: guest.ramBlocks)
    kept = try TemporaryMemory(blockSizes: guest.ramBlocks.map(\.size))
    self.guest = guest
    return guest
  }

  /// The guest as the end of the stream shows it.
  private mutating func finish() throws(MigrationError) -> GuestReader {
    guard let begun = guest, let kept else {
      throw MigrationError(.internal, "guest was not begun")
    }
    let map = try parts.map(on: begun.machine)
    guard map == begun.map else {
      throw MigrationError(
        .guestMap, "the guest's memory lies elsewhere than its machine and RAM blocks told",
        expected: "\(.below4G), or \(.ram) for the RAM block")
    }
    var guest = try parts.describe(
      begun.machine, map, vcpus: parts.vcpus(reader.description))
    let state = try parts.machine.finish(reader)
    try state.requireRegisters(of: guest.vcpus)
    guest.machineState = state.encoded
    try guest.requireManifest()
    return try kept.guest(guest)
  }

  // MARK: Pages

  private mutating func hand(
    _ record: RAMRecord, to source: inout LiveSource
  ) throws(MigrationError) {
    guard let page = record.page else {
      if case .multifdFlush = record { throw unfit("multifd", "one channel") }
      return
    }
    let input = reader.input
    if source.readsItself(page) {
      guard case .page = record else { return try source.send(page, nil) }
      return try source.send(page, input.bytes.extracting(first: Page.size))
    }
    switch record {
    case .page: try hand(page, input.bytes.extracting(first: Page.size), to: &source)
    case .zero: try hand(page, nil, to: &source)
    default:
      let wasKept = try isKept.contains(page.offset / Page.size64, of: page.block)
      guard let kept else { return }
      try packed.restore(record, from: input, size: Page.size) {
        (place, content) throws(MigrationError) in
        guard wasKept else {
          throw MigrationError(
            .ramData, "a delta is for a page that came only once before", in: .ram,
            got: "offset \(Hex.number(place.offset))")
        }
        try kept.read(block: place.block, at: place.offset, into: &content)
      }
      let content = packed.content
      try hand(page, content.span.extracting(first: Page.size), to: &source)
    }
  }

  /// - Parameter content: 4096 bytes; nil for zeros.
  private mutating func hand(
    _ page: RAMPage, _ content: Span<UInt8>?, to source: inout LiveSource
  ) throws(MigrationError) {
    guard !sealed.contains(page.block) else { return try keep(page, content) }
    // QEMU's deltas are against what it has sent since the end of its first round.
    if try source.hasCome(page) { try keep(page, content) }
    try source.send(page, content)
  }

  /// Keeps what deltas may refer to. Zeros are written only over something else: a record of them has
  /// nine bytes, and must not cost a page of the file each time.
  private mutating func keep(
    _ page: RAMPage, _ content: Span<UInt8>?
  ) throws(MigrationError) {
    let number = page.offset / Page.size64
    _ = try isKept.insert(number, of: page.block)
    if let content {
      _ = try isWritten.insert(number, of: page.block)
      try kept?.write(block: page.block, at: page.offset, content)
    } else if try isWritten.contains(number, of: page.block) {
      try isWritten.remove(number..<number + 1, of: page.block)
      try kept?.write(block: page.block, at: page.offset, Self.zeros.span)
    }
  }

  private static let zeros = [UInt8](repeating: 0, count: Page.size)
}
