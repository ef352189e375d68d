package import Wire

/// Some consecutive bytes of a stream, where a read has put them.
///
/// A stream is read into segments that are used again and again. In front of the bytes read there is
/// room for the end of the segment before, so that a record that lies across the border is whole.
/// Who works on the bytes in another thread has the segment pinned until done; only the thread
/// that reads the stream pins, unpins and changes it.
package final class StreamSegment: @unchecked Sendable {
  /// Bytes in front of what is read.
  static let headroom = 64 << 10

  /// Holds the bytes; what is read begins at `headroom`.
  package let buffer: PageBuffer
  /// Stream offset of the first byte read.
  var offset: UInt64 = 0
  /// Bytes read.
  var filled = 0
  /// How many hold on to its bytes.
  fileprivate(set) var pins = 0

  init(capacity: Int) {
    buffer = PageBuffer(count: Self.headroom + capacity)
  }

  /// First stream offset behind the bytes read.
  var end: UInt64 { offset &+ UInt64(filled) }
}

/// Bytes of a stream that stay in place until they are given back to their input.
package struct PinnedBytes: Sendable {
  private let segment: StreamSegment
  /// What they lie in, and where.
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
      // The buffer, which this value holds, keeps the bytes.
      return unsafe _overrideLifetime(bytes, borrowing: self)
    }
  }
}
