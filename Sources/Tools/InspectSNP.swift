internal import Bytes
internal import Cryptography
internal import Guest
internal import Migration
internal import QEMUStream
internal import SEVSNP
internal import SVSM

/// Walks an SNP stream and collects what is in it.
///
/// Without keys nothing is hashed and nothing judged beyond what the reader refuses; memory does not
/// grow with the guest. With the destination's instance the stream is rehearsed: opened record by
/// record as a load would, so that what is shown of the final state is authentic, and nothing is
/// restored.
struct SNPInspector: ~Copyable {
  /// What opens a stream: its destination, and whom it believes.
  struct Keys {
    var instance: SVSMInstance
    var anchors: [TrustAnchor]
  }

  private let input: StreamInput
  private var reader: SNPStreamReader
  private let options: InspectionOptions
  private let keys: Keys?
  private var svsm: DestinationSVSM?
  private var found: Inspection
  /// Takes each decrypted page in turn.
  private let scratch = PageBuffer(count: PageMetadata.pageSize)

  init(
    _ input: StreamInput, options: InspectionOptions, keys: Keys? = nil
  ) throws(MigrationError) {
    self.input = input
    self.options = options
    self.keys = keys
    reader = try SNPStreamReader(input, checkingSeal: false)
    found = Inspection(.snp, options: options)
  }

  /// Reads to the end, or to what is refused.
  /// - Parameter progress: told how many bytes are read.
  consuming func inspect(progress: (UInt64) -> Void) -> Inspection {
    do throws(MigrationError) {
      while try step() { progress(reader.offset) }
    } catch {
      found.refusal = error
    }
    found.size = reader.offset
    found.close()
    return found
  }

  /// One record.
  /// - Returns: false at the end.
  private mutating func step() throws(MigrationError) -> Bool {
    let record = try reader.next()
    noteSection(record)
    do throws(MigrationError) {
      return try take(record)
    } catch {
      throw reader.section.map { error.inSection($0.name.description) } ?? error
    }
  }

  private mutating func noteSection(_ record: SNPStreamReader.Record) {
    if let header = reader.section {
      guard !found.sections.isCurrent(header.offset) else { return }
      found.sections.end(at: header.offset)
      found.sections.begin(header)
    } else if case .eof = record {
      // The type byte of the end is read by now.
      found.sections.end(at: reader.offset - 1)
    }
  }

  private mutating func take(_ record: SNPStreamReader.Record) throws(MigrationError) -> Bool {
    switch record {
    case .configuration(let configuration): found.configuration = configuration
    case .session(let data): try takeSession(data)
    case .ram(let record): takeShared(record)
    case .guestMap(let map):
      found.map = map
      found.hasMap = true
      if let gpa = options.page, let place = map.locate(gpa) {
        found.page?.place = (place.block, place.offset)
      }
      keepBody()
    case .page: try takePage()
    case .token:
      var cursor = ByteCursor(reader.payload, at: reader.payloadOffset)
      found.epochs.append(try EpochToken(from: &cursor))
      try svsm?.processEpochToken(reader.payload, at: reader.payloadOffset)
    case .final(let final):
      found.finals.append((final, reader.payloadOffset))
      keepBody()
      try svsm?.processFinalState(reader.payload, at: reader.payloadOffset)
    case .commit:
      var cursor = ByteCursor(reader.payload, at: reader.payloadOffset)
      found.commit = try CommitRecord(from: &cursor)
      keepBody()
      found.state = try svsm?.processCommit(reader.payload, at: reader.payloadOffset)
    case .seal(let seal): found.seal = seal
    case .vmdescription:
      found.descriptionSize = reader.payload.count
      found.description = try VMDescription(
        parsing: Array(copying: reader.payload), at: reader.payloadOffset)
    case .end: return false
    case .skipped, .eof: break
    }
    return true
  }

  private mutating func keepBody() {
    guard options.keepsBodies, let header = reader.section else { return }
    found.bodies.keep(header, at: reader.payloadOffset, reader.payload)
  }

  private mutating func takeSession(_ data: TransferData) throws(MigrationError) {
    found.transferData = data
    if options.keepsBodies, let header = reader.section {
      found.bodies.keep(header, at: reader.payloadOffset, data.encoded.span)
    }
    guard let keys else { return }
    var options = DestinationSVSM.Options()
    options.acceptsOneWay = true
    options.acceptsSeeded = true
    options.isRehearsal = true
    // Looking into a stream that is kept for long is no decision that dates matter to: the time
    // is that at which the youngest of the source's certificates was issued.
    let certificates =
      data.flags.contains(.mutual)
      ? try CertificateTable(data.certificates).certificates() : []
    let time = certificates.map(\.notBefore).max() ?? 0
    svsm = try DestinationSVSM(
      instance: keys.instance, transferData: data, trust: Trust(anchors: keys.anchors, time: time),
      options: options, at: reader.payloadOffset)
  }

  private mutating func takeShared(_ record: RAMRecord) {
    if case .blockList = record {
      found.blocks = reader.guestBlocks.map { (Spelled.name($0.name), $0.size) }
    }
    guard let page = record.page else { return }
    found.sharedPages.note(page, isZero: record.payloadSize == 0)
    guard let place = found.page?.place, place.block == page.block, place.offset == page.offset
    else { return }
    guard (found.page?.sharedRecords.count ?? 0) < PageFacts.recordLimit else {
      found.page?.omitted += 1
      return
    }
    found.page?.sharedRecords.append(
      PageFacts.SharedRecord(
        offset: reader.payloadOffset,
        content: record.payloadSize == 0 ? nil : Array(copying: reader.payload)))
  }

  private mutating func takePage() throws(MigrationError) {
    var cursor = ByteCursor(reader.payload, at: reader.payloadOffset)
    let page = try PageMetadata(from: &cursor)
    found.privatePages.note(page)
    if svsm != nil {
      var target = scratch.mutableSpan
      _ = try svsm?.processPage(
        reader.payload, into: &target, at: 0, offset: reader.payloadOffset)
    }
    if page.gpa == options.page { try notePage(page) }
  }

  private mutating func notePage(_ page: PageMetadata) throws(MigrationError) {
    if svsm != nil {
      found.page?.plaintext = page.operation == .cancel ? nil : Array(copying: scratch.span)
    }
    guard (found.page?.privateRecords.count ?? 0) < PageFacts.recordLimit else {
      found.page?.omitted += 1
      return
    }
    let record = reader.payload
    let content = record.extracting(droppingFirst: PageMetadata.contentOffset)
    found.page?.privateRecords.append(
      PageFacts.PrivateRecord(
        metadata: page, offset: reader.payloadOffset,
        tag: Array(
          copying: record.extracting(PageMetadata.encodedSize..<PageMetadata.contentOffset)),
        ciphertextHash: try SHA256.hash(content)))
  }
}
