package import Errors
internal import Guest
package import Import
internal import Migration
internal import QEMUStream
internal import SVSM
internal import Wire

/// Walks a plain QEMU stream and collects what is in it.
///
/// An object, since pages are counted while the channels that bring them are read.
package final class QEMUInspector {
  private let input: QEMUInput
  private var reader: QEMUStreamReader
  private let options: InspectionOptions
  private var found: InspectedStream
  private let pages = PageCounter()
  private let assembly: RAMAssembly
  private var memory: TemporaryMemory?

  package init(_ input: QEMUInput, options: InspectionOptions) throws(MigrationError) {
    self.input = input
    reader = try input.reader()
    self.options = options
    found = InspectedStream(.qemu, options: options)
    found.image = input.image
    (found.packing, found.snapshot, found.rest) = (input.packing, input.snapshot, input.rest)
    // Nothing is judged here.
    reader.readDialects { _ in }
    let pages = pages
    assembly = RAMAssembly(channels: input.channels, file: input.positions) { page, count, isZero in
      pages.found.note(page, count: count, isZero: isZero)
    }
  }

  /// Reads to the end, or to what is refused.
  /// - Parameter progress: told how many bytes are read.
  package func inspect(progress: (UInt64) -> Void) -> InspectedStream {
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
    }
    do throws(MigrationError) {
      try hash()
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
      found.unread = header
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

  /// Sections that were passed over: nothing describes them.
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
      memory = try TemporaryMemory(blockSizes: reader.ram.blocks.map(\.length))
    }
    try assembly.begin(
      reader.ram, of: reader.configuration, into: memory.map { GuestRAM($0) })
  }

  /// - Throws: `STREAM-KIND` for memory that is encrypted.
  private func requireNoDialect() throws(MigrationError) {
    guard let dialect = reader.confidential?.facts.dialect else { return }
    throw MigrationError(
      .streamKind, "the memory of a confidential guest is encrypted",
      expected: "a plain QEMU stream for --ram-hashes", got: dialect.rawValue)
  }

  /// Hashes what is put together: blocks all of whose pages came.
  private func hash() throws(MigrationError) {
    guard let memory, reader.confidential?.facts.dialect == nil else { return }
    try assembly.flush()
    var hasher = BlockHasher()
    for (index, block) in reader.ram.blocks.enumerated() {
      var content = BlockMemory(missingPages: assembly.missingPages(of: index))
      if content.missingPages == 0 {
        switch try hasher.hash(block: index, of: memory.blocks, length: block.length) {
        case .hash(let hash): content.hash = hash
        case .zeros(let count): content.unhashedZeros = count
        }
      }
      found.memory.append(content)
    }
  }
}

/// Pages as they come.
private final class PageCounter {
  var found = SharedPages()
}
