internal import Errors
internal import Threads
internal import Wire

/// Joins consecutive pages into large writes. With more than one job, a write is in progress while the next
/// pages are read. There is never more than one write at a time, and all writes are in order.
final class PageWriter {
  private let crew: WorkCrew
  /// The run to which pages are appended.
  private var open: PageRun
  /// The run that was filled before; its write may be in progress.
  private var written: PageRun
  private var isWriting = false

  init(_ store: any RAMStore, crew: WorkCrew) {
    self.crew = crew
    (open, written) = (PageRun(of: store), PageRun(of: store))
  }

  /// Appends whole pages, at most `PageRun.capacity` bytes of them.
  /// - Throws: the error of an earlier write.
  func write(_ page: RAMPage, _ bytes: Span<UInt8>) throws(MigrationError) {
    if !open.takes(page, bytes) {
      try submit()
      open.begin(at: page)
    }
    open.append(bytes)
  }

  /// Reads back pages that were written.
  func read(_ page: RAMPage, into buffer: inout MutableSpan<UInt8>) throws(MigrationError) {
    try flush()
    try open.store.read(block: page.block, at: page.offset, into: &buffer)
  }

  /// Writes all buffered pages, and waits for the write.
  func flush() throws(MigrationError) {
    try submit()
    try finish()
  }

  /// Waits for a write in progress, and drops the buffered pages.
  func stop() {
    open.removeAll()
    try? finish()
  }

  private func submit() throws(MigrationError) {
    guard open.count > 0 else { return }
    try finish()
    swap(&open, &written)
    isWriting = true
    crew.submit(written)
  }

  private func finish() throws(MigrationError) {
    guard isWriting else { return }
    isWriting = false
    crew.finish(written)
    let error = written.error
    written.removeAll()
    if let error { throw error }
  }
}

/// Consecutive pages of a block, and their write.
private final class PageRun: WorkItem, @unchecked Sendable {
  /// Largest write in bytes.
  static let capacity = 256 << 10

  let store: any RAMStore
  private let buffer = PageBuffer(count: capacity)
  private var start = RAMPage(block: 0, offset: 0)
  private(set) var count = 0
  private(set) var error: MigrationError?

  init(of store: any RAMStore) {
    self.store = store
    super.init()
  }

  /// Whether the pages follow those of this run, and there is room for them.
  func takes(_ page: RAMPage, _ bytes: Span<UInt8>) -> Bool {
    page.block == start.block && page.offset == start.offset &+ UInt64(count)
      && bytes.count <= Self.capacity - count
  }

  /// Sets the place of the first page. Precondition: the run is empty.
  func begin(at page: RAMPage) { start = page }

  func append(_ bytes: Span<UInt8>) {
    let buffer = self.buffer
    var target = buffer.mutableSpan
    target.copy(bytes, to: count)
    count += bytes.count
  }

  func removeAll() { (count, error) = (0, nil) }

  override func perform() {
    let buffer = self.buffer
    do throws(MigrationError) {
      try store.write(
        block: start.block, at: start.offset, buffer.span.extracting(first: count))
    } catch {
      self.error = error
    }
  }
}
