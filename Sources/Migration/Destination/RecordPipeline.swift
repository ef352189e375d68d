internal import Errors
internal import QEMUStream
internal import SVSM
internal import Threads
internal import Wire

/// Page records that are opened by one call, by whichever thread is free.
final class PageBatch: WorkItem, @unchecked Sendable {
  /// What opens them; nil without keys.
  let pages: PageImport?
  /// The records, one every `SNPStreamReader.pageStride` bytes.
  fileprivate(set) var records: PinnedBytes?
  fileprivate(set) var count = 0
  /// Stream offset of the first record.
  fileprivate var first: UInt64 = 0

  fileprivate init(_ pages: PageImport?) { self.pages = pages }

  override func perform() {
    guard let records else { return }
    pages?.open(records.bytes, stride: SNPStreamReader.pageStride, count: count)
  }

  /// Stream offset of record `index`.
  func offset(_ index: Int) -> UInt64 { first + UInt64(index * SNPStreamReader.pageStride) }
}

/// Reads a stream and hands its records out in stream order. Page records on their way are opened by all
/// threads of a crew, while what follows them is read.
struct RecordPipeline: ~Copyable {
  /// What comes next.
  enum Item {
    /// Page records, opened. They stay until `next` is called again.
    case pages(PageBatch)
    /// Another record: the reader has it.
    case record(SNPStreamReader.Record)
    /// The reader has found something wrong before it went on, which its ledger of findings holds.
    case findings
  }

  var reader: SNPStreamReader
  /// Makes what opens page records; nil as long as there are no keys.
  var makeImport: (() throws(MigrationError) -> PageImport)?
  private let crew: WorkCrew
  private let batches: InFlight<PageBatch>
  /// Batches that are under way.
  private var underWay = 0
  /// Page records at the front of the payload, and how many of them were handed over.
  private var pages = (count: 0, next: 0)
  /// What was read and comes after the batches that are under way.
  private var following: Result<Item, MigrationError>?
  /// What was handed out last.
  private var current: PageBatch?
  /// Whether what was handed out last was read while page records were under way: then findings of the reader
  /// may wait.
  private(set) var hasReadAhead = false

  /// - Parameters:
  ///   - reader: at the start of its stream.
  ///   - crew: opens page records.
  init(_ reader: consuming SNPStreamReader, crew: WorkCrew) {
    self.reader = reader
    self.crew = crew
    batches = InFlight(for: crew)
  }

  /// Gives what comes next.
  /// - Throws: what the reader refuses, once all before it was handed out.
  // Inlined: most records are shared pages, which come while no page records are under way.
  @inline(__always)
  mutating func next() throws(MigrationError) -> Item {
    hasReadAhead = false
    if underWay == 0, current == nil, following == nil, pages.next == pages.count {
      let record = try reader.next()
      guard case .pages(let count) = record else { return .record(record) }
      pages = (count, 0)
    }
    return try nextAmongPages()
  }

  private mutating func nextAmongPages() throws(MigrationError) -> Item {
    recycle()
    while following == nil, !batches.isFull {
      if pages.next < pages.count {
        let batch = try takePages()
        guard batch.pages != nil else { return .pages(batch) }
        batches.submit(batch, to: crew)
        underWay += 1
      } else if underWay == 0 {
        let record = try reader.next()
        guard case .pages(let count) = record else { return .record(record) }
        pages = (count, 0)
      } else {
        readAhead()
      }
    }
    if let batch = batches.finishOldest(with: crew) {
      underWay -= 1
      current = batch
      return .pages(batch)
    }
    defer { following = nil }
    hasReadAhead = true
    guard let following else { throw MigrationError(.internal, "pipeline has run dry") }
    return try following.get()
  }

  /// Reads on while page records are under way. What the reader finds waits until they are judged.
  private mutating func readAhead() {
    reader.findings?.isHolding = true
    defer { reader.findings?.isHolding = false }
    do throws(MigrationError) {
      let record = try reader.next()
      if case .pages(let count) = record {
        pages = (count, 0)
        if reader.findings?.holdsSome == true { following = .success(.findings) }
      } else {
        following = .success(.record(record))
      }
    } catch {
      following = .failure(error)
    }
  }

  /// Pins the next page records at hand.
  private mutating func takePages() throws(MigrationError) -> PageBatch {
    let batch =
      if let free = batches.takeFree() { free } else { PageBatch(try makeImport?()) }
    let stride = SNPStreamReader.pageStride
    let start = pages.next * stride
    batch.count = min(pages.count - pages.next, PageImport.capacity)
    guard
      let records = reader.pinPayload(
        start..<start + (batch.count - 1) * stride + PageMetadata.recordSize)
    else { throw MigrationError(.internal, "page records are not at hand") }
    (batch.records, batch.first) = (records, reader.payloadOffset + UInt64(start))
    pages.next += batch.count
    if batch.pages == nil { current = batch }
    return batch
  }

  private mutating func recycle() {
    guard let batch = current else { return }
    current = nil
    if let records = batch.records { reader.unpin(records) }
    batch.records = nil
    batches.recycle(batch)
  }
}
