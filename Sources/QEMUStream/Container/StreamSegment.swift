package import Wire

/// Consecutive bytes of a stream in memory.
///
/// A stream is read into segments, which are reused. Before the bytes of a segment there is room
/// for the end of the previous segment, so that a record across the boundary is contiguous. While
/// another thread works on the bytes, the segment is pinned. Only the thread that reads the stream
/// pins, unpins and changes segments.
package final class StreamSegment: @unchecked Sendable {
  /// Size in bytes of the room before the bytes that are read.
  static let headroom = 64 << 10

  /// The bytes; those that are read begin at `headroom`.
  package let buffer: PageBuffer
  /// Stream offset of the first byte that was read.
  var offset: UInt64 = 0
  /// Number of bytes that were read.
  var filled = 0
  /// Number of users of the bytes.
  fileprivate(set) var pins = 0

  init(capacity: Int) {
    buffer = PageBuffer(count: Self.headroom + capacity)
  }

  /// Stream offset after the last byte that was read.
  var end: UInt64 { offset &+ UInt64(filled) }
}

/// Bytes of a stream that stay in place until they are unpinned.
package struct PinnedBytes: Sendable {
  private let segment: StreamSegment
  /// The buffer that holds the bytes, and their range in it.
  package let buffer: PageBuffer
  package let range: Range<Int>

  init(_ segment: StreamSegment, _ range: Range<Int>) {
    self.segment = segment
    buffer = segment.buffer
    self.range = range
    segment.pins += 1
  }

  func unpin() { segment.pins -= 1 }

  package var count: Int { range.count }

  package var bytes: Span<UInt8> {
    @_lifetime(borrow self) get {
      let bytes = buffer.span.extracting(range)
      // This value holds the buffer, which keeps the bytes valid.
      return unsafe _overrideLifetime(bytes, borrowing: self)
    }
  }
}
