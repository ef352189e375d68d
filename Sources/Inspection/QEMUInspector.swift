package import Errors
internal import Guest
package import Import
internal import Migration
internal import QEMUStream
internal import SVSM
package import Threads
internal import Wire

/// Reads a plain QEMU stream and collects its contents.
///
/// The inspector is a class because pages are counted while the channels that deliver them are
/// read.
package final class QEMUInspector {
  private let input: QEMUInput
  private var reader: QEMUStreamReader
  private let options: InspectionOptions
  private var found: InspectedStream
  private let pages = PageCounter()
  private let assembly: RAMAssembly
  private let crew: WorkCrew
  /// Whether RAM is hashed while it is read.
  private let hashesInOrder: Bool
  private var hasher: (any RAMHasher)?
  /// What the sections say of where memory lies.
  private var clues = PlacementClues()

  /// Inspects a stream to its end, or to the place where it is refused.
  ///
  /// RAM is hashed while it is read, provided that its pages are in order. If they are not, the stream is
  /// read again and its RAM is assembled in a file; a stream that can be read only once is handled that
  /// way from the start.
  /// - Parameters:
  ///   - again: opens the stream anew; nil when it can be read only once.
  ///   - crew: the threads that read and hash.
  ///   - progress: called with the number of bytes that have been read.
  package static func inspect(
    _ input: QEMUInput, again: (() throws(MigrationError) -> QEMUInput)?,
    options: InspectionOptions, crew: WorkCrew, progress: (UInt64) -> Void
  ) throws(MigrationError) -> InspectedStream {
    guard let again, options.hashesRAM, !options.hashesPages else {
      return try QEMUInspector(input, options, crew, inOrder: false).inspect(progress)
    }
    let first = try QEMUInspector(input, options, crew, inOrder: true)
    let found = first.inspect(progress)
    if (first.hasher as? OrderedBlocks)?.isInOrder ?? true { return found }
    return try QEMUInspector(again(), options, crew, inOrder: false).inspect(progress)
  }

  private init(
    _ input: QEMUInput, _ options: InspectionOptions, _ crew: WorkCrew, inOrder: Bool
  ) throws(MigrationError) {
    self.input = input
    reader = try input.reader()
    (self.options, self.crew, hashesInOrder) = (options, crew, inOrder)
    found = InspectedStream(.qemu, options: options)
    found.image = input.image
    (found.packing, found.snapshot, found.rest) = (input.packing, input.snapshot, input.rest)
    // Broken rules are ignored: an inspection does not judge.
    reader.readDialects { _ in }
    let pages = pages
    assembly = input.assembly { page, count, isZero in
      pages.found.note(page, count: count, isZero: isZero)
    }
  }

  private func inspect(_ progress: (UInt64) -> Void) -> InspectedStream {
    defer { assembly.stop() }
    do throws(MigrationError) {
      while try step() { progress(reader.input.offset) }
      try assembly.finish()
      if options.hashesRAM {
        try requireNoDialect()
        try assembly.requireWhole(at: reader.input.offset)
      }
      try input.requireWholeImage()
    } catch {
      found.refusal = input.explain(error)
      // The pages on the channels are there, although the main stream is cut.
      if error.code.saysIncomplete { try? assembly.finish() }
    }
    do throws(MigrationError) {
      try hash()
    } catch {
      if found.refusal == nil { found.refusal = error }
    }
    if found.refusal == nil { found.leftOut = assembly.leftOut }
    if options.memory != nil, let map = clues.map(of: reader) {
      (found.map, found.hasMap) = (map, true)
    }
    let assembly = assembly
    found.missingPages = assembly.blocks.indices.map { assembly.missingPages(of: $0) }
    found.sharedPages = pages.found
    found.channels = input.channels
    found.streamStart = input.start
    found.hasFooters = reader.hasFooters
    found.confidential = reader.confidential?.facts
    found.padding = reader.padding
    let end = reader.input.offset &- reader.padding
    found.close(at: end)
    found.undescribed = undescribed()
    found.size = end &- input.start
    return found
  }

  private func step() throws(MigrationError) -> Bool {
    let event = try reader.next()
    if options.memory != nil { try clues.take(event, from: &reader) }
    // Without footers a section ends where the next record begins.
    let footer: UInt64 = reader.hasFooters == false ? 0 : 5
    switch event {
    case .configuration: found.configuration = reader.configuration
    case .section(let header):
      found.sections.end(at: header.offset, footer: footer)
      found.sections.begin(header)
      try keepBody(header)
      try assembly.take(header, from: &reader)
    case .unreadable(let header):
      found.sections.end(at: header.offset, footer: footer)
      (found.unread, assembly.unreadable) = (header, header)
    case .ram(.blockList): try begin()
    case .ram(let record):
      pages.found.page = reader.ram.page
      try assembly.take(record, from: reader.input, page: reader.ram.page)
    case .confidential(let page):
      if let page { assembly.take(encrypted: page) }
    case .command(let command):
      found.sections.end(at: command.offset, footer: footer)
      if found.commands.count < 1024 { found.commands.append(command) }
      if command.code == .postcopyRAMDiscard { try assembly.discard(command) }
    case .endOfSections:
      found.sections.end(at: reader.input.offset - 1, footer: footer)
      found.seal = try Seal.readIfPresent(from: reader.input, streamStart: input.start)
    case .description(let size):
      found.descriptionSize = size
      found.description = try reader.requireDescription()
    case .end: return false
    case .mappedPages: break
    }
    return true
  }

  private func keepBody(_ header: SectionHeader) throws(MigrationError) {
    guard options.keepsBodies, header.kind == .full, header.name != RAMSection.name else { return }
    let size = try reader.requireBody()
    let input = reader.input
    found.bodies.keep(header, at: input.offset, input.bytes.extracting(first: size))
  }

  /// Sections that nothing describes.
  private func undescribed() -> [SectionKey] {
    let described = (found.description ?? reader.description).map(DescribedSections.init)
    var seen: Set<SectionKey> = []
    return found.sections.lines.elements.compactMap { line in
      let key = line.header.key
      guard line.header.name != RAMSection.name, described?[line.header] == nil else { return nil }
      return seen.insert(key).inserted ? key : nil
    }
  }

  // MARK: RAM

  private func begin() throws(MigrationError) {
    pages.found.page = reader.ram.page
    found.blocks = reader.ram.blocks.map { ($0.name.description, $0.length) }
    if options.hashesRAM {
      try reader.ram.requireMemory(at: reader.input.offset)
      hasher =
        hashesInOrder
        ? try OrderedBlocks(count: reader.ram.blocks.count)
        : try StoredBlocks(reader.ram.blocks.map(\.length))
    }
    var store: (any RAMStore)? = hasher
    if let memory = options.memory {
      try reader.ram.requireMemory(at: reader.input.offset)
      store = try memory(reader.ram.blocks.map(\.length))
    }
    try assembly.begin(reader.ram, of: reader.configuration, into: store, crew: crew)
  }

  /// - Throws: `STREAM-KIND` for memory that is encrypted.
  private func requireNoDialect() throws(MigrationError) {
    guard let dialect = reader.confidential?.facts.dialect else { return }
    throw MigrationError(
      .streamKind, "the memory of a confidential guest is encrypted",
      expected: "a plain QEMU stream for --ram-hashes", got: dialect.rawValue)
  }

  /// Hashes the restored blocks that miss no page.
  private func hash() throws(MigrationError) {
    guard let hasher, reader.confidential?.facts.dialect == nil else { return }
    try assembly.flush()
    if options.hashesPages, let stored = hasher as? StoredBlocks {
      let size = UInt64(reader.ram.page.size)
      try pages.found.hash { (run) throws(MigrationError) in
        try stored.hash(block: run.block, run.offset..<run.offset + run.pages * size)
      }
    }
    for (index, block) in reader.ram.blocks.enumerated() {
      var content = BlockMemory(missingPages: assembly.missingPages(of: index))
      if content.missingPages == 0 {
        switch try hasher.hash(block: index, length: block.length) {
        case .hash(let hash): content.hash = hash
        case .zeros(let count): content.unhashedZeros = count
        }
      }
      found.memory.append(content)
    }
  }
}

/// Collects the page records as they are read.
private final class PageCounter {
  var found = SharedPages()
}
