internal import Errors
internal import Threads
internal import Wire

/// Joins pages that follow each other into large writes. With more than one job a write is made while the
/// next pages are read; there is never more than one at a time, and all are made in order.
final class PageWriter {
  private let crew: WorkCrew
  /// Takes the next pages.
  private var open: PageRun
  /// What was filled before; its write may be in progress.
  private var written: PageRun
  private var isWriting = false

  init(_ store: any RAMStore, crew: WorkCrew) {
    self.crew = crew
    (open, written) = (PageRun(of: store), PageRun(of: store))
  }

  /// Takes whole pages, at most `PageRun.capacity` bytes of them.
  /// - Throws: what an earlier write threw.
  func write(_ page: RAMPage, _ bytes: Span<UInt8>) throws(MigrationError) {
    if !open.takes(page, bytes) {
      try submit()
      open.begin(at: page)
    }
    open.append(bytes)
  }

  /// Reads back what was written.
  func read(_ page: RAMPage, into buffer: inout MutableSpan<UInt8>) throws(MigrationError) {
    try flush()
    try open.store.read(block: page.block, at: page.offset, into: &buffer)
  }

  /// Writes what is held back, and waits for it.
  func flush() throws(MigrationError) {
    try submit()
    try finish()
  }

  /// Waits for a write in progress, and drops what was not written.
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

/// Pages that follow each other in a block, and their write.
private final class PageRun: WorkItem, @unchecked Sendable {
  /// Bytes written at once.
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

  /// Whether pages follow those that are here, and there is room for them.
  func takes(_ page: RAMPage, _ bytes: Span<UInt8>) -> Bool {
    page.block == start.block && page.offset == start.offset &+ UInt64(count)
      && bytes.count <= Self.capacity - count
  }

  /// Begins a run of pages. Precondition: there are none here.
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
