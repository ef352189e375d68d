internal import Errors
internal import QEMUStream
internal import SVSM
internal import Threads
internal import Wire

/// A batch of page records that one call opens, on any free thread.
final class PageBatch: WorkItem, @unchecked Sendable {
  /// The import that opens them; nil without keys.
  let pages: PageImport?
  /// The records, `SNPStreamReader.pageStride` bytes apart.
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

/// Reads a stream and returns its records in stream order. All worker threads open page records,
/// while the records after them are read.
struct RecordPipeline: ~Copyable {
  /// The next item of a stream.
  enum Item {
    /// Page records that were opened. They remain valid until `next` is called again.
    case pages(PageBatch)
    /// Another record, which the reader holds.
    case record(SNPStreamReader.Record)
    /// The reader found something wrong before it continued; its ledger of findings holds it.
    case findings
  }

  var reader: SNPStreamReader
  /// Makes imports that open page records; nil while there are no keys.
  var makeImport: (() throws(MigrationError) -> PageImport)?
  private let crew: WorkCrew
  private let batches: InFlight<PageBatch>
  /// Number of batches in progress.
  private var underWay = 0
  /// Number of page records at the start of the payload, and how many of them are in batches
  /// already.
  private var pages = (count: 0, next: 0)
  /// The item that was read ahead; it follows the batches in progress.
  private var following: Result<Item, MigrationError>?
  /// The batch that was returned last.
  private var current: PageBatch?
  /// Whether the item returned last was read ahead while page records were in progress. Findings of
  /// the reader may then be held back.
  private(set) var hasReadAhead = false

  /// - Parameters:
  ///   - reader: the reader, at the start of its stream.
  ///   - crew: the worker threads that open page records.
  init(_ reader: consuming SNPStreamReader, crew: WorkCrew) {
    self.reader = reader
    self.crew = crew
    batches = InFlight(for: crew)
  }

  /// Returns the next item.
  /// - Throws: what the reader refuses, after all items before it were returned.
  // Inlined: most records are shared pages, which are read while no page records are in progress.
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

  /// Reads ahead while page records are in progress. Findings of the reader are held back until
  /// these records are judged.
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

  /// Pins the next page records of the payload and puts them in a batch.
  private mutating func takePages() throws(MigrationError) -> PageBatch {
    let batch =
      if let free = batches.takeFree() { free } else { PageBatch(try makeImport?()) }
    let stride = SNPStreamReader.pageStride
    let start = pages.next * stride
    batch.count = min(pages.count - pages.next, PageImport.capacity)
    guard
      let records = reader.pinPayload(
        start..<start + (batch.count - 1) * stride + PageMetadata.recordSize)
    else { throw MigrationError(.internal, "page records are not available") }
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
