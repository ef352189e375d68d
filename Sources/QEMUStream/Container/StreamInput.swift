package import Errors
internal import Wire

/// A forward-only window over a byte source: the bytes not yet consumed, contiguous.
///
/// The source is read into segments of `capacity` bytes. The window lies in the segment read last;
/// only a record larger than a segment is put together in a buffer of its own, of at most `limit`
/// bytes and never much more than were really read. What the window shows is valid until the next
/// call that may refill (`require`, `available`, `skip` and the `read…` functions); whoever needs
/// bytes for longer, or in another thread, pins them. One thread at a time.
package final class StreamInput {
  /// Largest record that can be made contiguous unless told otherwise: 64 MiB.
  package static let defaultLimit = 64 << 20
  /// Bytes of a segment unless told otherwise: what is read at once.
  package static let defaultCapacity = 1 << 20

  private let source: any ByteSource
  /// The same, when it may have holes.
  private let sparse: (any SparseSource)?
  private let limit: Int
  private let capacity: Int
  /// The segment being filled.
  private var segment: StreamSegment
  /// Earlier segments, oldest first, whose bytes may still be pinned.
  private var kept: [StreamSegment] = []
  private var isKeeping = false
  /// Segments to be used again, as far as they are not pinned.
  private var pool: [StreamSegment] = []
  private var ended = false

  /// What the window lies in: the segment's buffer, or one for a large record.
  private var buffer: PageBuffer
  private var isLarge = false
  /// The window is `start..<end` of the buffer.
  private var start = StreamSegment.headroom
  private var end = StreamSegment.headroom
  /// Stream offset of the buffer's first byte, modulo 2^64.
  private var base: UInt64

  /// - Parameters:
  ///   - source: read from its present place on.
  ///   - capacity: bytes of a segment; rounded up to whole pages.
  ///   - limit: most bytes one record may need.
  ///   - offset: stream offset of the first byte, when the source does not start at 0.
  package init(
    _ source: any ByteSource, capacity: Int = StreamInput.defaultCapacity,
    limit: Int = StreamInput.defaultLimit, offset: UInt64 = 0
  ) {
    self.source = source
    sparse = source as? any SparseSource
    self.capacity = (max(capacity, 1) + 4095) & ~4095
    self.limit = max(limit, self.capacity)
    segment = StreamSegment(capacity: self.capacity)
    segment.offset = offset
    buffer = segment.buffer
    base = offset &- UInt64(StreamSegment.headroom)
  }

  /// Stream offset of the first byte not consumed.
  package var offset: UInt64 { base &+ UInt64(start) }

  /// Bytes in the window now.
  package var count: Int { end - start }

  /// The window: every byte read but not consumed.
  package var bytes: Span<UInt8> {
    @_lifetime(borrow self) get {
      let window = buffer.span.extracting(start..<end)
      // The buffer, which this object holds, keeps the bytes.
      return unsafe _overrideLifetime(window, borrowing: self)
    }
  }

  /// Makes at least `needed` bytes contiguous in the window.
  /// - Throws: `STREAM-TRUNCATED` at the place where the stream ends; `SECTION-LENGTH` when more
  ///   than the limit is asked for; what the source throws.
  package func require(_ needed: Int) throws(MigrationError) {
    if end - start >= needed { return }
    let got = try available(atLeast: needed)
    guard got >= needed else {
      throw MigrationError(
        .streamTruncated, "stream ends early", at: offset &+ UInt64(got),
        expected: "\(needed) bytes from byte \(Hex.number(offset))", got: "\(got)")
    }
  }

  /// Like `require`, but a stream that ends is no error.
  /// - Returns: bytes in the window; less than `needed` only at the end of the stream.
  package func available(atLeast needed: Int) throws(MigrationError) -> Int {
    if end - start >= needed || ended { return end - start }
    guard needed <= limit else {
      throw MigrationError(
        .sectionLength, "record is too large", at: offset, expected: "at most \(limit) bytes",
        got: "\(needed)")
    }
    while end - start < needed, !ended { try fill(toward: needed) }
    return end - start
  }

  /// Whether nothing is left to read.
  package func isAtEnd() throws(MigrationError) -> Bool { try available(atLeast: 1) == 0 }

  /// Drops `count` bytes from the front of the window. Precondition: they are in the window.
  package func consume(_ count: Int) {
    precondition(count >= 0 && count <= end - start)
    start += count
    if isLarge, offset >= segment.offset { returnToSegment() }
  }

  /// Consumes `count` bytes, however many, without holding them all.
  /// - Throws: `STREAM-TRUNCATED`.
  package func skip(_ count: UInt64) throws(MigrationError) {
    var left = count
    while left > 0 {
      try require(1)
      let step = Int(min(left, UInt64(self.count)))
      consume(step)
      left -= UInt64(step)
    }
  }

  // MARK: Holes

  /// Bytes from the front of the window on that the source does not store: all are zero, and `passHole`
  /// consumes them unread. 0 where a byte is stored, or the source knows no holes.
  /// - Throws: `IO-READ`.
  package func holeAhead() throws(MigrationError) -> UInt64 {
    try sparse?.hole(before: UInt64(count)) ?? 0
  }

  /// Consumes `count` bytes of the hole ahead, however many. Precondition: `holeAhead` said that they
  /// are one.
  package func passHole(_ count: UInt64) {
    let known = UInt64(self.count)
    guard count > known, let sparse else { return consume(Int(count)) }
    let place = offset &+ count
    sparse.pass(count - known)
    let next = takeSegment()
    next.offset = place
    next.filled = 0
    setAside()
    segment = next
    (buffer, isLarge) = (next.buffer, false)
    (start, end) = (StreamSegment.headroom, StreamSegment.headroom)
    base = place &- UInt64(StreamSegment.headroom)
  }

  // MARK: Reading on

  /// Reads once, into the segment that has room.
  private func fill(toward needed: Int) throws(MigrationError) {
    if segment.filled == capacity { beginSegment(for: needed) }
    let first = StreamSegment.headroom + segment.filled
    let target = segment.buffer
    var room = target.mutableSpan(first..<StreamSegment.headroom + capacity)
    let roomCount = room.count
    let got = try unsafe room.withUnsafeMutableBytes { (bytes) throws(MigrationError) in
      try unsafe source.read(into: bytes)
    }
    // A source that claims more than it had room for must not move the window past the buffer.
    guard got <= roomCount else { throw MigrationError(.internal, "source overran its buffer") }
    if got == 0 { ended = true }
    segment.filled += got
    if isLarge { appendToLarge(segment, first..<first + got) } else { end += got }
  }

  /// Goes on to a new segment and takes the window along.
  private func beginSegment(for needed: Int) {
    let next = takeSegment()
    next.offset = segment.end
    next.filled = 0
    let window = end - start
    if !isLarge {
      if window <= StreamSegment.headroom, needed <= window + capacity {
        let head = StreamSegment.headroom - window
        let (old, new) = (buffer, next.buffer)
        var front = new.mutableSpan(head..<StreamSegment.headroom)
        front.copy(old.span.extracting(start..<end), to: 0)
        (buffer, start, end) = (new, head, StreamSegment.headroom)
        base = next.offset &- UInt64(StreamSegment.headroom)
      } else {
        gatherLarge()
      }
    }
    setAside()
    segment = next
  }

  /// Keeps the segment that was filled for pinning, or has it used again.
  private func setAside() {
    if isKeeping { kept.append(segment) } else { pool.append(segment) }
  }

  private func takeSegment() -> StreamSegment {
    let index = pool.firstIndex { $0.pins == 0 }
    return index.map { pool.remove(at: $0) } ?? StreamSegment(capacity: capacity)
  }

  // MARK: Large records

  /// Moves the window into a buffer of its own.
  private func gatherLarge() {
    let window = end - start
    let (old, large) = (buffer, PageBuffer(count: max(2 * window, 4 * capacity)))
    var target = large.mutableSpan
    target.copy(old.span.extracting(start..<end), to: 0)
    base = offset
    (buffer, start, end, isLarge) = (large, 0, window, true)
  }

  private func appendToLarge(_ segment: StreamSegment, _ range: Range<Int>) {
    if buffer.count - end < range.count { gatherLarge() }
    let (source, large) = (segment.buffer, buffer)
    var target = large.mutableSpan
    target.copy(source.span.extracting(range), to: end)
    end += range.count
  }

  /// The large record is consumed: what is left lies in the segment as well.
  private func returnToSegment() {
    let consumed = Int(offset &- segment.offset)
    buffer = segment.buffer
    base = segment.offset &- UInt64(StreamSegment.headroom)
    start = StreamSegment.headroom + consumed
    end = StreamSegment.headroom + segment.filled
    isLarge = false
  }

  // MARK: Pinning

  /// Keeps what is consumed from now on until `release`, so that it can be pinned.
  package func keepConsumed() { isKeeping = true }

  /// Pins bytes of the segments that are kept or being filled. They must lie in one segment:
  /// segments begin at multiples of `capacity` from the first byte on.
  /// - Returns: nil when no segment has all of them.
  package func pin(at offset: UInt64, count: Int) -> PinnedBytes? {
    for segment in kept {
      if let bytes = Self.pin(at: offset, count: count, in: segment) { return bytes }
    }
    return Self.pin(at: offset, count: count, in: segment)
  }

  private static func pin(
    at offset: UInt64, count: Int, in segment: StreamSegment
  ) -> PinnedBytes? {
    guard offset >= segment.offset, offset <= segment.end,
      UInt64(count) <= segment.end - offset
    else { return nil }
    let first = StreamSegment.headroom + Int(offset - segment.offset)
    return PinnedBytes(segment, first..<first + count)
  }

  /// Pins bytes of the window, given by their places in it; nil when it holds a large record.
  /// Precondition: they are in the window.
  package func pinWindow(_ range: Range<Int>) -> PinnedBytes? {
    precondition(range.lowerBound >= 0 && range.upperBound <= end - start)
    if isLarge { return nil }
    return PinnedBytes(segment, start + range.lowerBound..<start + range.upperBound)
  }

  /// Stream offset of the segment that the window lies in; nil when it holds a large record.
  package var segmentOffset: UInt64? { isLarge ? nil : base &+ UInt64(StreamSegment.headroom) }

  /// Gives pinned bytes back.
  package func unpin(_ bytes: PinnedBytes) { bytes.unpin() }

  /// What lies before `offset` will not be pinned any more.
  package func release(before offset: UInt64) {
    while let first = kept.first, first.end <= offset {
      pool.append(kept.removeFirst())
    }
  }

  /// Nothing that is consumed will be pinned any more.
  package func stopKeeping() {
    isKeeping = false
    release(before: .max)
  }
}

extension StreamInput {
  /// Reads and consumes one big-endian field.
  /// - Throws: `STREAM-TRUNCATED`.
  @inlinable package func read<Field: FixedWidthInteger & UnsignedInteger>(
    _: Field.Type = Field.self
  ) throws(MigrationError) -> Field {
    let size = Field.bitWidth / 8
    try require(size)
    let window = bytes
    var value: Field = 0
    for index in 0..<size { value = value << 8 | Field(truncatingIfNeeded: window[index]) }
    consume(size)
    return value
  }

  /// Copies and consumes `count` bytes.
  /// - Throws: `STREAM-TRUNCATED`; `SECTION-LENGTH` when `count` passes the limit.
  package func readArray(_ count: Int) throws(MigrationError) -> [UInt8] {
    try require(count)
    let copy = Array(copying: bytes.extracting(first: count))
    consume(count)
    return copy
  }

  /// The next byte, left in place; nil at the end of the stream.
  package func peekByte() throws(MigrationError) -> UInt8? {
    try available(atLeast: 1) > 0 ? bytes[0] : nil
  }
}
