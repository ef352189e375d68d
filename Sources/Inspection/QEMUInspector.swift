internal import Cryptography
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
  /// What of the memory is wanted.
  private let memory: Memory
  private var hasher: (any RAMHasher)?
  /// What the sections say of where memory lies.
  private var clues = PlacementClues()

  private enum Memory {
    case counted
    /// Hashed while it is read, provided that its pages are in order.
    case hashedInOrder
    /// Assembled in a file, then hashed.
    case hashed
    /// Counted, and one page kept.
    case page(PageStore, RAMPage)
  }

  /// Inspects a stream to its end, or to the place where it is refused.
  ///
  /// RAM is hashed while it is read, provided that its pages are in order. If they are not, the stream is
  /// read again and its RAM is assembled in a file; a stream that can be read only once is handled that
  /// way from the start. For one page the stream is read twice, as its devices tell where memory lies.
  /// - Parameters:
  ///   - again: opens the stream anew; nil when it can be read only once.
  ///   - crew: the threads that read and hash.
  ///   - progress: called with the number of bytes that have been read.
  package static func inspect(
    _ input: QEMUInput, again: (() throws(MigrationError) -> QEMUInput)?,
    options: InspectionOptions, crew: WorkCrew, progress: (UInt64) -> Void
  ) throws(MigrationError) -> InspectedStream {
    if let gpa = options.page {
      return try inspect(input, page: gpa, again: again, options, crew, progress)
    }
    guard options.hashesRAM else {
      return try QEMUInspector(input, options, crew, .counted).inspect(progress)
    }
    guard let again, !options.hashesPages else {
      return try QEMUInspector(input, options, crew, .hashed).inspect(progress)
    }
    let first = try QEMUInspector(input, options, crew, .hashedInOrder)
    let found = first.inspect(progress)
    if (first.hasher as? OrderedBlocks)?.isInOrder ?? true { return found }
    return try QEMUInspector(again(), options, crew, .hashed).inspect(progress)
  }

  /// Finds the place of a page in a first pass, and its records in a second one.
  /// - Throws: `INPUT-KIND` for a stream that can be read only once; `MAP-LAYOUT` when its map is not
  ///   known.
  private static func inspect(
    _ input: QEMUInput, page gpa: UInt64, again: (() throws(MigrationError) -> QEMUInput)?,
    _ options: InspectionOptions, _ crew: WorkCrew, _ progress: (UInt64) -> Void
  ) throws(MigrationError) -> InspectedStream {
    guard let again else {
      throw MigrationError(
        .inputKind, "a page of a plain QEMU stream is found in two passes", at: input.start,
        expected: "regular files")
    }
    let found = try QEMUInspector(input, options, crew, .counted).inspect(progress)
    guard found.confidential?.dialect == nil else {
      throw MigrationError(
        .streamKind, "the memory of a confidential guest is encrypted",
        expected: "a plain QEMU stream for --page")
    }
    if let error = found.mapError, found.refusal?.code.saysIncomplete ?? true { throw error }
    guard let place = found.map.locate(gpa) else { return found }
    let page = RAMPage(block: place.block, offset: place.offset)
    return try QEMUInspector(again(), options, crew, .page(PageStore(page), page))
      .inspect(progress)
  }

  private init(
    _ input: QEMUInput, _ options: InspectionOptions, _ crew: WorkCrew, _ memory: Memory
  ) throws(MigrationError) {
    self.input = input
    reader = try input.reader()
    (self.options, self.crew, self.memory) = (options, crew, memory)
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
      if options.hashesRAM { try requireNoDialect() }
      if reader.confidential?.facts.dialect == nil {
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
      try locate()
      if found.refusal == nil { found.leftOut = try assembly.leftOut() }
      for block in assembly.blocks.indices {
        found.missingPages.append(try assembly.missingPages(of: block))
      }
    } catch {
      if found.refusal == nil { found.refusal = error }
    }
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
      try noteRunState(header)
      try assembly.take(header, from: &reader)
    case .unreadable(let header):
      found.sections.end(at: header.offset, footer: footer)
      (found.unread, assembly.unreadable) = (header, header)
    case .ram(.blockList): try begin()
    case .ram(let record):
      pages.found.page = reader.ram.page
      note(record)
      try assembly.take(record, from: reader.input, page: reader.ram.page)
    case .confidential(let page):
      if let page { try assembly.take(encrypted: page) }
    case .command(let command):
      found.sections.end(at: command.offset, footer: footer)
      try found.note(command)
      if command.code == .postcopyRAMDiscard { try assembly.discard(command) }
    case .endOfSections:
      found.sections.end(at: reader.input.offset - 1, footer: footer)
      found.seal = try Seal.readIfPresent(from: reader.input, streamStart: input.start)
    case .description(let size):
      found.descriptionSize = size
      found.description = try reader.requireDescription()
      if options.keepsDescription {
        let input = reader.input
        found.descriptionText = Array(copying: input.bytes.extracting(first: size))
      }
      if options.hashesDescription {
        let input = reader.input
        found.descriptionHash = try SHA256.hash(input.bytes.extracting(first: size))
      }
    case .end: return false
    case .mappedPages: break
    }
    try clues.take(event, from: &reader)
    return true
  }

  private func keepBody(_ header: SectionHeader) throws(MigrationError) {
    let isFull = header.kind == .full
    guard header.name != RAMSection.name,
      isFull ? options.bodies.holds(header) : options.hashesParts
    else { return }
    let size = try reader.requireBody()
    let input = reader.input
    let body = input.bytes.extracting(first: size)
    if isFull {
      found.bodies.keep(header, at: input.offset, body)
    } else {
      try found.parts.take(header, body)
    }
  }

  /// Takes QEMU's name of the run state from its section: a number of four bytes, then the name.
  private func noteRunState(_ header: SectionHeader) throws(MigrationError) {
    guard header.name == "globalstate", header.kind == .full, found.runState == nil else { return }
    let size = try reader.requireBody()
    let input = reader.input
    let name = Array(copying: input.bytes.extracting(first: size)).dropFirst(4).prefix { $0 != 0 }
    found.runState = SectionName(Array(name))?.description
  }

  /// Sections that nothing describes.
  private func undescribed() -> [SectionKey] {
    let described = reader.described
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
    let store: (any RAMStore)?
    switch memory {
    case .counted: store = try makeSink()
    case .page(let page, _): store = page
    case .hashed, .hashedInOrder:
      try reader.ram.requireMemory(at: reader.input.offset)
      hasher = try makeHasher()
      store = hasher
    }
    try assembly.begin(reader.ram, of: reader.configuration, into: store, crew: crew)
  }

  /// What the caller wants to be told the memory; nil when it wants nothing.
  private func makeSink() throws(MigrationError) -> (any RAMStore)? {
    guard let memory = options.memory else { return nil }
    try reader.ram.requireMemory(at: reader.input.offset)
    return try memory(reader.ram.blocks.map(\.length))
  }

  private func makeHasher() throws(MigrationError) -> any RAMHasher {
    if case .hashedInOrder = memory { return try OrderedBlocks(count: reader.ram.blocks.count) }
    return try StoredBlocks(reader.ram.blocks.map(\.length))
  }

  /// Notes a record of the page that was asked for. Its bytes are next.
  private func note(_ record: RAMRecord) {
    guard case .page(_, let place) = memory, record.page == place else { return }
    let input = reader.input
    let (form, content): (PageFacts.SharedRecord.Form, [UInt8]?) =
      switch record {
      case .page: (.content, Array(copying: input.bytes.extracting(first: reader.ram.page.size)))
      case .xbzrle: (.xbzrle, nil)
      case .compressed: (.compressed, nil)
      default: (.zero, nil)
      }
    found.page?.note(PageFacts.SharedRecord(offset: input.offset, form: form, content: content))
  }

  /// Finds the addresses of the blocks, as far as they are known, and the page that was asked for.
  /// - Throws: `IO-WRITE`, `IO-READ` for the temporary file of a page set.
  private func locate() throws(MigrationError) {
    guard !found.blocks.isEmpty, reader.confidential?.facts.dialect == nil else { return }
    if found.refusal != nil { clues.endEarly() }
    do throws(MigrationError) {
      found.map = try clues.map(
        of: reader.ram, reader.configuration, options.additions, at: reader.input.offset)
      found.hasMap = true
    } catch {
      found.mapError = error
    }
    guard case .page(let store, let place) = memory else { return }
    found.page?.place = (place.block, place.offset)
    let bytes = place.offset..<place.offset + UInt64(store.page.count)
    guard try assembly.missingPages(of: place.block, in: bytes) == 0 else { return }
    try? assembly.flush()
    found.page?.restored = store.page
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
      var content = BlockMemory(missingPages: try assembly.missingPages(of: index))
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
