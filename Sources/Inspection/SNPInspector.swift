internal import Cryptography
package import Errors
internal import Guest
internal import Import
internal import Migration
package import QEMUStream
internal import SVSM
internal import Wire

/// Reads an SNP stream and collects its contents.
///
/// Without keys nothing is hashed, and nothing is judged beyond the checks of the reader; memory
/// use does not depend on the size of the guest. With the destination's keys the stream is
/// decrypted and authenticated as in a load, so that the final state that is shown is authentic.
package struct SNPInspector: ~Copyable {
  private var reader: SNPStreamReader
  private let collector: Collector

  package init(
    _ input: StreamInput, options: InspectionOptions, keys: Rehearsal.Keys? = nil
  ) throws(MigrationError) {
    reader = SNPStreamReader(input, checkingSealWith: nil)
    collector = Collector(options, keys)
  }

  /// Reads to the stream's end, or to the place where the stream is refused.
  /// - Parameter progress: called with the number of bytes that have been read.
  package consuming func inspect(progress: (UInt64) -> Void) -> InspectedStream {
    do throws(MigrationError) {
      while try step() { progress(reader.offset) }
    } catch {
      collector.found.refusal = error
    }
    return collector.finish(at: reader.offset)
  }

  /// Reads one record.
  /// - Returns: false at the end.
  private mutating func step() throws(MigrationError) -> Bool {
    let record = try reader.next()
    if let header = reader.section {
      collector.noteSection(header)
    } else if case .eof = record {
      // The type byte of the end record has been read already.
      collector.found.sections.end(at: reader.offset - 1)
    }
    if case .ram(.blockList) = record { try collector.take(reader.guestBlocks) }
    if case .end = record { return false }
    do throws(MigrationError) {
      try collector.take(record, reader.payload, at: reader.payloadOffset, in: reader.section)
    } catch {
      throw reader.section.map { error.within(.section($0.name)) } ?? error
    }
    return true
  }
}

/// Collects the records of an SNP stream.
///
/// The collector is a class because records are collected while the reader that holds their bytes
/// is borrowed.
private final class Collector {
  var found: InspectedStream
  private let options: InspectionOptions
  private let keys: Rehearsal.Keys?
  private var rehearsal: Rehearsal?
  private var sink: (any PageSink)?
  /// The memory, for the hashes of blocks.
  private var stored: StoredPages?
  private static let zeroPage = [UInt8](repeating: 0, count: Page.size)

  init(_ options: InspectionOptions, _ keys: Rehearsal.Keys?) {
    self.options = options
    self.keys = keys
    found = InspectedStream(.snp, options: options)
    if options.countsEpochs { found.rounds = EpochTable(hasKeys: keys != nil) }
  }

  func finish(at offset: UInt64) -> InspectedStream {
    do throws(MigrationError) {
      if let stored { found.memory = try stored.hash(found.blocks.map(\.length)) }
    } catch {
      if found.refusal == nil { found.refusal = error }
    }
    found.close(at: offset)
    return found
  }

  func noteSection(_ header: SectionHeader) {
    guard !found.sections.isCurrent(header.offset) else { return }
    found.sections.end(at: header.offset)
    found.sections.begin(header)
    if options.countsEpochs, header.kind == .part { found.rounds?.beginPart(at: header.offset) }
  }

  func take(_ blocks: [Guest.RAMBlock]) throws(MigrationError) {
    sink = try options.memory?(blocks.map(\.size))
    if options.hashesRAM { stored = try StoredPages(blocks.map(\.size)) }
    if options.hashesPages {
      found.privatePages.digest = try RunDigest()
      found.sharedPages.digest = try RunDigest()
    }
    found.blocks = blocks.map { (SectionName($0.name)?.description ?? "", $0.size) }
    found.rounds?.take(blocks: blocks.count)
  }

  func take(
    _ record: SNPStreamReader.Record, _ payload: Span<UInt8>, at offset: UInt64,
    in section: SectionHeader?
  ) throws(MigrationError) {
    var cursor = ByteCursor(payload, at: offset)
    switch record {
    case .configuration(let configuration): found.configuration = configuration
    case .session(let data):
      found.transferData = data
      keepBody(section, data.encoded.span, at: offset)
      if let keys { rehearsal = try Rehearsal(keys, data, at: offset) }
    case .ram(let record): try takeShared(record, payload, at: offset)
    case .guestMap(let map):
      found.map = map
      found.hasMap = true
      if let gpa = options.page, let place = map.locate(gpa) {
        found.page?.place = (place.block, place.offset)
      }
      keepBody(section, payload, at: offset)
    case .pages(let count):
      let stride = SNPStreamReader.pageStride
      found.sections.beginFollowing(count, stride: UInt64(stride))
      for index in 0..<count {
        let start = index * stride
        try takePage(
          payload.extracting(start..<start + PageMetadata.recordSize),
          at: offset + UInt64(start))
      }
    case .machine(let frame):
      found.machine = frame.state
      keepBody(section, payload, at: offset)
    case .device: keepBody(section, payload, at: offset)
    case .token:
      // With keys, a record that does not authenticate is not shown, just as a load does not use
      // it.
      try rehearsal?.open(token: payload, at: offset)
      let token = try EpochToken(from: &cursor)
      found.epochs.append(token)
      if !token.isLast { found.sharedPages.begin(epoch: token.epoch &+ 1) }
      found.rounds?.close(
        token, at: offset &+ UInt64(payload.count + StreamGrammar.Footer.size))
    case .final(let place):
      try rehearsal?.open(final: payload, in: place, at: offset)
      found.finals.append((try FinalRecord(from: &cursor, in: place), offset))
      keepBody(section, payload, at: offset)
    case .commit:
      found.state = try rehearsal?.open(commit: payload, at: offset)
      found.commit = try CommitRecord(from: &cursor)
      keepBody(section, payload, at: offset)
    case .seal(let seal): found.seal = seal
    case .vmdescription:
      found.descriptionSize = payload.count
      if options.keepsDescription { found.descriptionText = Array(copying: payload) }
      if options.hashesDescription { found.descriptionHash = try SHA256.hash(payload) }
      found.description = try VMDescription(parsing: payload, at: offset, isOurs: true)
    case .skipped, .eof, .end: break
    }
  }

  private func keepBody(_ section: SectionHeader?, _ body: Span<UInt8>, at offset: UInt64) {
    guard let section, options.bodies.holds(section) else { return }
    found.bodies.keep(section, at: offset, body)
  }

  private func takeShared(
    _ record: RAMRecord, _ payload: Span<UInt8>, at offset: UInt64
  ) throws(MigrationError) {
    guard let page = record.page else { return }
    let isZero = record.payloadSize(page: Page.size) == 0
    if options.countsEpochs { try found.rounds?.note(shared: page, isZero: isZero) }
    let content = isZero ? Self.zeroPage.span : payload
    try found.sharedPages.note(page, isZero: isZero, content)
    try sink?.write(block: page.block, at: page.offset, content)
    try stored?.write(block: page.block, at: page.offset, content)
    guard let place = found.page?.place, place.block == page.block, place.offset == page.offset
    else { return }
    found.page?.note(
      PageFacts.SharedRecord(
        offset: offset, form: isZero ? .zero : .content,
        content: isZero ? nil : Array(copying: payload)))
  }

  /// Whether the content of every page is hashed or kept.
  private var needsContent: Bool { options.hashesPages || sink != nil || stored != nil }

  private func takePage(_ record: Span<UInt8>, at offset: UInt64) throws(MigrationError) {
    try rehearsal?.open(page: record, at: offset)
    var cursor = ByteCursor(record, at: offset)
    let page = try PageMetadata(from: &cursor)
    // The option is asked, which costs less for each page than the table.
    if options.countsEpochs {
      let place = found.map.locate(page.gpa).map { (block: $0.block, offset: $0.offset) }
      try found.rounds?.note(page.operation, at: place, isZero: rehearsal?.isZero)
    }
    guard needsContent || page.gpa == options.page else { return found.privatePages.note(page) }
    let content = record.extracting(droppingFirst: PageMetadata.contentOffset)
    let plaintext = page.operation == .cancel ? nil : rehearsal?.page
    if let plaintext {
      try found.privatePages.note(page, plaintext.span)
    } else {
      try found.privatePages.note(page, content)
    }
    let sealed = record.extracting(droppingFirst: PageMetadata.encodedSize)
    if sink != nil || stored != nil, let place = found.map.locate(page.gpa) {
      for sink in [sink, stored] {
        try sink?.take(
          page, block: place.block, at: place.offset, sealed: sealed, content: plaintext)
      }
    }
    guard page.gpa == options.page else { return }
    found.page?.plaintext = plaintext
    found.page?.note(
      PageFacts.PrivateRecord(
        metadata: page, offset: offset,
        tag: Array(
          copying: record.extracting(PageMetadata.encodedSize..<PageMetadata.contentOffset)),
        ciphertextHash: try SHA256.hash(content)))
  }
}
