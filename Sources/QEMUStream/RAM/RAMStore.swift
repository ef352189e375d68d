package import Errors
internal import Wire

/// Memory that RAM blocks are put together in, by block and offset. What is not written is zero.
package protocol RAMStore: AnyObject {
  /// Writes memory from `offset` of a RAM block on.
  /// - Throws: `IO-WRITE`.
  func write(block: Int, at offset: UInt64, _ bytes: Span<UInt8>) throws(MigrationError)

  /// Fills `buffer` with what was written from `offset` of a RAM block on.
  /// - Throws: `IO-READ`.
  func read(
    block: Int, at offset: UInt64, into buffer: inout MutableSpan<UInt8>
  ) throws(MigrationError)
}

/// Joins pages that follow each other into large writes.
struct PageWriter {
  /// Bytes written at once.
  private static let capacity = 256 << 10

  private let store: any RAMStore
  private let buffer = PageBuffer(count: capacity)
  private var block = 0
  private var start: UInt64 = 0
  private var filled = 0

  init(_ store: any RAMStore) { self.store = store }

  /// Takes whole pages, at most `capacity` bytes of them.
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

  /// Reads back what was written.
  mutating func read(
    _ page: RAMPage, into buffer: inout MutableSpan<UInt8>
  ) throws(MigrationError) {
    try flush()
    try store.read(block: page.block, at: page.offset, into: &buffer)
  }

  /// Writes what is held back.
  mutating func flush() throws(MigrationError) {
    guard filled > 0 else { return }
    let count = filled
    filled = 0
    try store.write(block: block, at: start, buffer.span.extracting(first: count))
  }
}
