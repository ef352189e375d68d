package import Errors
internal import Wire

/// The memory into which RAM blocks are restored, addressed by block and offset. Bytes that have
/// not been written are zero.
package protocol RAMStore: AnyObject {
  /// Writes `bytes` at `offset` of a RAM block.
  /// - Throws: `IO-WRITE`.
  func write(block: Int, at offset: UInt64, _ bytes: Span<UInt8>) throws(MigrationError)

  /// Fills `buffer` with the content of a RAM block from `offset` on.
  /// - Throws: `IO-READ`.
  func read(
    block: Int, at offset: UInt64, into buffer: inout MutableSpan<UInt8>
  ) throws(MigrationError)
}

/// Joins consecutive pages into large writes.
struct PageWriter {
  /// Largest write in bytes.
  private static let capacity = 256 << 10

  private let store: any RAMStore
  private let buffer = PageBuffer(count: capacity)
  private var block = 0
  private var start: UInt64 = 0
  private var filled = 0

  init(_ store: any RAMStore) { self.store = store }

  /// Appends whole pages, at most `capacity` bytes of them.
  mutating func write(_ page: RAMPage, _ bytes: Span<UInt8>) throws(MigrationError) {
    let follows = page.block == block && page.offset == start &+ UInt64(filled)
    if !follows || bytes.count > Self.capacity - filled { try flush() }
    if filled == 0 {
      block = page.block
      start = page.offset
    }
    var target = buffer.mutableSpan
    target.copy(bytes, to: filled)
    filled += bytes.count
  }

  /// Reads back pages that were written.
  mutating func read(
    _ page: RAMPage, into buffer: inout MutableSpan<UInt8>
  ) throws(MigrationError) {
    try flush()
    try store.read(block: page.block, at: page.offset, into: &buffer)
  }

  /// Writes all buffered pages.
  mutating func flush() throws(MigrationError) {
    guard filled > 0 else { return }
    let count = filled
    filled = 0
    try store.write(block: block, at: start, buffer.span.extracting(first: count))
  }
}
