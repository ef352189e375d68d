package import Errors

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
