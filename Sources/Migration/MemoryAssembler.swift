internal import Bytes
internal import Guest

/// Joins pages that follow each other into large writes.
///
/// A page is put into the buffer first and placed afterwards, so that it can be decrypted where it
/// will be written from, before anyone believes where it belongs.
struct MemoryAssembler {
  private static let pageSize = 4096
  /// Bytes written at once.
  private static let capacity = 256 << 10

  private let memory: any GuestMemoryOutput
  /// Pages to be written, then room for one that is not placed yet.
  let buffer = PageBuffer(count: capacity + pageSize)
  private var block = 0
  private var start: UInt64 = 0
  /// Where the next page is put, in bytes from the front of `buffer`.
  private(set) var position = 0

  init(_ memory: any GuestMemoryOutput) { self.memory = memory }

  /// Places the page that was put at `position`.
  mutating func place(_ block: Int, _ offset: UInt64) throws(MigrationError) {
    if position > 0, block != self.block || offset != start + UInt64(position) {
      let pending = position
      try flush()
      buffer.moveToFront(from: pending, count: Self.pageSize)
    }
    if position == 0 {
      self.block = block
      start = offset
    }
    position += Self.pageSize
    if position == Self.capacity { try flush() }
  }

  /// Writes what is placed.
  mutating func flush() throws(MigrationError) {
    if position > 0 {
      try memory.write(block: block, at: start, buffer.span.extracting(first: position))
    }
    position = 0
  }
}
