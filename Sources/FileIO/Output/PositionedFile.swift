package import Errors

/// A file of a fixed size that is filled by position. Bytes that are never written are zero and take no
/// space.
package protocol PositionedFile: AnyObject, Sendable {
  /// Writes all of `bytes` at `offset`.
  /// - Throws: `IO-WRITE`.
  func write(_ bytes: Span<UInt8>, at offset: UInt64) throws(MigrationError)

  /// Makes `count` bytes at `offset` zero again, a hole where that is possible.
  /// - Throws: `IO-WRITE`.
  func clear(at offset: UInt64, count: Int) throws(MigrationError)

  /// Fills `buffer` with the bytes of the file that begin at `offset`.
  /// - Throws: `IO-READ`, also when the file ends before the buffer is full.
  func read(at offset: UInt64, into buffer: inout MutableSpan<UInt8>) throws(MigrationError)

  /// The file, opened for reading, with the size that it has now.
  /// - Throws: `INPUT-OPEN`.
  func input() throws(MigrationError) -> InputFile
}
