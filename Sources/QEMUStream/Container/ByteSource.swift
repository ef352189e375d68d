package import Errors
internal import Wire

/// A source of a stream's bytes: a file, a pipe, an array.
package protocol ByteSource: AnyObject {
  /// Reads up to `buffer.count` bytes into `buffer`, which is never empty.
  /// - Returns: how many were read; 0 only at the end of the stream.
  /// - Throws: `IO-READ`.
  @unsafe func read(into buffer: UnsafeMutableRawBufferPointer) throws(MigrationError) -> Int
}

/// A source that does not store all of its bytes and knows its holes, such as a sparse file.
package protocol SparseSource: ByteSource {
  /// Size in bytes of the hole that begins `back` bytes before the next byte to be read. All its
  /// bytes are zero. 0 where a byte is stored.
  /// - Throws: `IO-READ`.
  func hole(before back: UInt64) throws(MigrationError) -> UInt64

  /// Skips the next `count` bytes, which must exist, without reading them.
  func pass(_ count: UInt64)
}

/// A source whose bytes are unpacked when they are read, and may not be far more than those that hold them.
package protocol UnpackedSource: ByteSource {
  /// Counts bytes that were packed once more, in a record of this source, as bytes of its own.
  /// - Throws: `IMAGE-FORMAT` when they are too many.
  func count(_ bytes: Int) throws(MigrationError)
}

/// The rest of a stream whose first bytes were read, for reading by an input of its own.
package final class RestSource: UnpackedSource {
  private let input: StreamInput

  package init(of input: StreamInput) { self.input = input }

  package func count(_ bytes: Int) throws(MigrationError) { try input.count(unpacked: bytes) }

  @unsafe package func read(
    into buffer: UnsafeMutableRawBufferPointer
  ) throws(MigrationError) -> Int {
    let input = self.input
    let count = min(try input.available(atLeast: 1), buffer.count)
    // `buffer` may be filled for the length of this call; `count` is within both sides.
    var target = unsafe MutableSpan<UInt8>(_unsafeBytes: buffer)
    target.copy(input.bytes.extracting(first: count), to: 0)
    input.consume(count)
    return count
  }
}

/// A stream in memory, for tests and for sections that were read in one piece.
package final class ArraySource: ByteSource {
  private let bytes: [UInt8]
  private let pieceSize: Int
  private var next = 0

  /// - Parameter pieceSize: most bytes returned by one read, to imitate a slow pipe.
  package init(_ bytes: [UInt8], pieceSize: Int = .max) {
    self.bytes = bytes
    self.pieceSize = max(1, pieceSize)
  }

  @unsafe package func read(
    into buffer: UnsafeMutableRawBufferPointer
  ) throws(MigrationError) -> Int {
    let count = min(buffer.count, pieceSize, bytes.count - next)
    // `buffer` may be filled for the length of this call; `count` is within both sides.
    unsafe buffer.copyBytes(from: bytes[next..<next + count])
    next += count
    return count
  }
}
