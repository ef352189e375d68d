package import Errors
internal import Wire

/// Where a stream comes from: a file, a pipe, an array.
package protocol ByteSource: AnyObject {
  /// Reads up to `buffer.count` bytes into `buffer`, which is never empty.
  /// - Returns: how many were read; 0 only at the end of the stream.
  /// - Throws: `IO-READ`.
  @unsafe func read(into buffer: UnsafeMutableRawBufferPointer) throws(MigrationError) -> Int
}

/// A source that does not store all of its bytes, and knows which: a sparse file.
package protocol SparseSource: ByteSource {
  /// Bytes of the hole that begins `back` bytes before the next one to be read: all are zero. 0 where
  /// a byte is stored.
  /// - Throws: `IO-READ`.
  func hole(before back: UInt64) throws(MigrationError) -> UInt64

  /// Passes by the next `count` bytes, which are there, without reading them.
  func pass(_ count: UInt64)
}

/// What is left of a stream whose front was read, so that it can be read by an input of its own.
package final class RestSource: ByteSource {
  private let input: StreamInput

  package init(of input: StreamInput) { self.input = input }

  @unsafe package func read(
    into buffer: UnsafeMutableRawBufferPointer
  ) throws(MigrationError) -> Int {
    let input = self.input
    let count = min(try input.available(atLeast: 1), buffer.count)
    // The buffer is the caller's to fill for the length of this call; `count` fits both sides.
    var target = unsafe MutableSpan<UInt8>(_unsafeBytes: buffer)
    target.copy(input.bytes.extracting(first: count), to: 0)
    input.consume(count)
    return count
  }
}

/// A stream in memory, for tests and for sections that were read whole.
package final class ArraySource: ByteSource {
  private let bytes: [UInt8]
  private let pieceSize: Int
  private var next = 0

  /// - Parameter pieceSize: most bytes given in one read, as a slow pipe would.
  package init(_ bytes: [UInt8], pieceSize: Int = .max) {
    self.bytes = bytes
    self.pieceSize = max(1, pieceSize)
  }

  @unsafe package func read(
    into buffer: UnsafeMutableRawBufferPointer
  ) throws(MigrationError) -> Int {
    let count = min(buffer.count, pieceSize, bytes.count - next)
    // The buffer is the caller's to fill for the length of this call; `count` fits both sides.
    unsafe buffer.copyBytes(from: bytes[next..<next + count])
    next += count
    return count
  }
}
