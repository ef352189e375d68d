package import Errors
internal import Wire

/// Bytes that can be read at any position, and by several readers at once: a regular file.
package protocol PositionedSource: AnyObject {
  /// Size in bytes.
  var size: UInt64 { get }

  /// Fills `buffer` with the bytes from `offset` on.
  /// - Throws: `IO-READ`, also when the source ends before the buffer is full.
  func read(at offset: UInt64, into buffer: inout MutableSpan<UInt8>) throws(MigrationError)

  /// The next range of bytes at or after `offset` that is not a hole, and so may hold other bytes
  /// than zeros; nil when there is none.
  /// - Throws: `IO-READ`.
  func nextData(from offset: UInt64) throws(MigrationError) -> Range<UInt64>?
}

extension PositionedSource {
  /// A source of all bytes from `offset` on; an empty source when `offset` is after the end.
  package func source(from offset: UInt64) -> any ByteSource { PositionedRest(self, from: offset) }
}

/// The bytes of a positioned source from one offset on, in order.
private final class PositionedRest: SparseSource {
  private let source: any PositionedSource
  private var next: UInt64

  init(_ source: any PositionedSource, from start: UInt64) {
    self.source = source
    next = min(start, source.size)
  }

  @unsafe func read(
    into buffer: UnsafeMutableRawBufferPointer
  ) throws(MigrationError) -> Int {
    let count = Int(min(UInt64(buffer.count), source.size - next))
    // Part of the caller's buffer, for the length of this call.
    var part = unsafe MutableSpan<UInt8>(_unsafeBytes: .init(rebasing: buffer[..<count]))
    try source.read(at: next, into: &part)
    next += UInt64(count)
    return count
  }

  func hole(before back: UInt64) throws(MigrationError) -> UInt64 {
    let place = next - back
    return (try source.nextData(from: place)?.lowerBound ?? source.size) - place
  }

  func pass(_ count: UInt64) { next += count }
}
