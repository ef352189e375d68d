package import Errors

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
