package import Errors

/// Bytes that can be read at any position, from several places at once: a regular file.
package protocol PositionedSource: AnyObject {
  /// Bytes.
  var size: UInt64 { get }

  /// Fills `buffer` with the bytes from `offset` on.
  /// - Throws: `IO-READ`, also when fewer bytes are there.
  func read(at offset: UInt64, into buffer: inout MutableSpan<UInt8>) throws(MigrationError)

  /// The next stretch of bytes at or after `offset` that is not a hole, and so may be other than zero;
  /// nil when there is none.
  /// - Throws: `IO-READ`.
  func nextData(from offset: UInt64) throws(MigrationError) -> Range<UInt64>?

  /// A source of all bytes from `offset` on, which is at most `size`.
  func source(from offset: UInt64) -> any ByteSource
}
