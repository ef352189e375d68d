package import Errors
internal import Wire

/// A forward-only window over a byte source: the bytes that have been read but not consumed,
/// contiguous in memory.
///
/// The source is read into segments of `capacity` bytes. The window is in the last segment. Only a
/// record larger than a segment is copied into a buffer of its own, of at most `limit` bytes and
/// never much more than were read. The bytes of the window are valid until the next call that may
/// refill it (`require`, `available`, `skip` and the `read…` functions). Callers that need bytes
/// for longer, or in another thread, pin them. One thread at a time.
package final class StreamInput {
  /// Default limit of the size of a contiguous record: 64 MiB.
  package static let defaultLimit = 64 << 20
  /// Default size of a segment in bytes, which is also the size of one read.
  package static let defaultCapacity = 1 << 20
  /// Largest number of unpinned segments that are kept for reuse: a large record leaves many.
  private static let poolLimit = 4

  private let source: any ByteSource
  /// The source, if it may have holes.
  private let sparse: (any SparseSource)?
  /// The source, if its bytes are unpacked.
  private let unpacked: (any UnpackedSource)?
  private let limit: Int
  private let capacity: Int
  /// The segment that is being filled.
  private var segment: StreamSegment
  /// Earlier segments, oldest first, whose bytes can still be pinned.
  private var kept: [StreamSegment] = []
  private var isKeeping = false
  /// Segments for reuse, once they are not pinned.
  private var pool: [StreamSegment] = []
  private var ended = false

  /// The buffer of the window: the segment's buffer, or one for a large record.
  private var buffer: PageBuffer
  private var isLarge = false
  /// The window is the range `start..<end` of the buffer.
  private var start = StreamSegment.headroom
  private var end = StreamSegment.headroom
  /// Stream offset of the buffer's first byte, modulo 2^64.
  private var base: UInt64

  /// - Parameters:
  ///   - source: read from its present position on.
  ///   - capacity: size of a segment in bytes; rounded up to whole pages.
  ///   - limit: largest size of one record in bytes.
  ///   - offset: stream offset of the first byte, when the source does not start at 0.
  package init(
    _ source: any ByteSource, capacity: Int = StreamInput.defaultCapacity,
    limit: Int = StreamInput.defaultLimit, offset: UInt64 = 0
  ) {
    self.source = source
    sparse = source as? any SparseSource
    unpacked = source as? any UnpackedSource
    self.capacity = (max(capacity, 1) + 4095) & ~4095
    self.limit = max(limit, self.capacity)
    segment = StreamSegment(capacity: self.capacity)
    segment.offset = offset
    buffer = segment.buffer
    base = offset &- UInt64(StreamSegment.headroom)
  }

  /// Stream offset of the first byte not consumed.
  package var offset: UInt64 { base &+ UInt64(start) }

  /// Number of bytes in the window now.
  package var count: Int { end - start }

  /// The window: every byte read but not consumed.
  package var bytes: Span<UInt8> {
    @_lifetime(borrow self) get {
      let window = buffer.span.extracting(start..<end)
      // This object holds the buffer, which keeps the bytes valid.
      return unsafe _overrideLifetime(window, borrowing: self)
    }
  }

  /// Makes at least `needed` bytes contiguous in the window.
  /// - Throws: `STREAM-TRUNCATED` at the place where the stream ends; `SECTION-LENGTH` when
  ///   `needed` passes the limit; the errors of the source.
  package func require(_ needed: Int) throws(MigrationError) {
    if end - start >= needed { return }
    let got = try available(atLeast: needed)
    guard got >= needed else {
      throw MigrationError(
        .streamTruncated, "stream ends early", at: offset &+ UInt64(got),
        expected: "\(needed) bytes from byte \(Hex.number(offset))", got: "\(got)")
    }
  }

  /// Makes at least `needed` bytes contiguous in the window, or fewer if the stream ends before.
  /// - Returns: number of bytes in the window; less than `needed` only at the end of the stream.
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

  /// Whether no byte is left to read.
  package func isAtEnd() throws(MigrationError) -> Bool { try available(atLeast: 1) == 0 }

  /// Drops `count` bytes from the front of the window. Precondition: they are in the window.
  package func consume(_ count: Int) {
    precondition(count >= 0 && count <= end - start)
    start += count
    if isLarge, offset >= segment.offset { returnToSegment() }
  }

  /// Consumes `count` bytes, however many, without holding all of them in memory.
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

  /// Size in bytes of the hole at the front of the window: the source does not store these bytes,
  /// all of them are zero, and `passHole` consumes them unread. 0 where a byte is stored, or the
  /// source has no holes.
  /// - Throws: `IO-READ`.
  package func holeAhead() throws(MigrationError) -> UInt64 {
    try sparse?.hole(before: UInt64(count)) ?? 0
  }

  /// Consumes `count` bytes of the hole at the front of the window. Precondition: `count` is at
  /// most the result of `holeAhead`.
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

  // MARK: Unpacking

  /// Counts bytes that a record of this stream held packed. Where the stream itself is unpacked, they and its
  /// own bytes together may not be far more than those that hold it: each page that a record packs takes as
  /// long as many bytes of the stream.
  /// - Throws: `IMAGE-FORMAT`.
  package func count(unpacked bytes: Int) throws(MigrationError) {
    try unpacked?.count(bytes)
  }

  // MARK: Refilling

  /// Reads once from the source into the free part of the segment.
  private func fill(toward needed: Int) throws(MigrationError) {
    if segment.filled == capacity { beginSegment(for: needed) }
    let first = StreamSegment.headroom + segment.filled
    let target = segment.buffer
    var room = target.mutableSpan(first..<StreamSegment.headroom + capacity)
    let roomCount = room.count
    let got = try unsafe room.withUnsafeMutableBytes { (bytes) throws(MigrationError) in
      try unsafe source.read(into: bytes)
    }
    // A source that reports more bytes than fit must not move the window past the buffer.
    guard got <= roomCount else { throw MigrationError(.internal, "source overran its buffer") }
    if got == 0 { ended = true }
    segment.filled += got
    if isLarge { appendToLarge(segment, first..<first + got, needed) } else { end += got }
  }

  /// Begins a new segment. The bytes of the window move with it.
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
        gatherLarge(for: needed)
      }
    }
    setAside()
    segment = next
  }

  /// Keeps the filled segment for pinning, or releases it for reuse.
  private func setAside() {
    if isKeeping { kept.append(segment) } else { recycle(segment) }
  }

  private func recycle(_ segment: StreamSegment) {
    if pool.count(where: { $0.pins == 0 }) < Self.poolLimit { pool.append(segment) }
  }

  private func takeSegment() -> StreamSegment {
    let index = pool.firstIndex { $0.pins == 0 }
    return index.map { pool.remove(at: $0) } ?? StreamSegment(capacity: capacity)
  }

  // MARK: Large records

  /// Copies the window into a buffer of its own, with room for `needed` bytes and what is read with
  /// the last of them. The room takes memory only when it is filled.
  private func gatherLarge(for needed: Int) {
    let window = end - start
    let (old, large) = (buffer, PageBuffer(count: max(window, needed) + capacity))
    var target = large.mutableSpan
    target.copy(old.span.extracting(start..<end), to: 0)
    base = offset
    (buffer, start, end, isLarge) = (large, 0, window, true)
  }

  private func appendToLarge(_ segment: StreamSegment, _ range: Range<Int>, _ needed: Int) {
    if buffer.count - end < range.count { gatherLarge(for: needed) }
    let (source, large) = (segment.buffer, buffer)
    var target = large.mutableSpan
    target.copy(source.span.extracting(range), to: end)
    end += range.count
  }

  /// Moves the window back into the segment once the large record is consumed: all remaining bytes
  /// are in the segment as well.
  private func returnToSegment() {
    let consumed = Int(offset &- segment.offset)
    buffer = segment.buffer
    base = segment.offset &- UInt64(StreamSegment.headroom)
    start = StreamSegment.headroom + consumed
    end = StreamSegment.headroom + segment.filled
    isLarge = false
  }

  // MARK: Pinning

  /// Keeps all bytes consumed from now on until `release`, so that they can be pinned.
  package func keepConsumed() { isKeeping = true }

  /// Pins bytes of the segments that are kept or being filled. The bytes must be in one segment;
  /// segments begin at multiples of `capacity`, counted from the first byte.
  /// - Returns: nil when no segment has all of the bytes.
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

  /// Pins the bytes of the window in `range`, counted from its front; nil when the window holds a
  /// large record. Precondition: the range is within the window.
  package func pinWindow(_ range: Range<Int>) -> PinnedBytes? {
    precondition(range.lowerBound >= 0 && range.upperBound <= end - start)
    if isLarge { return nil }
    return PinnedBytes(segment, start + range.lowerBound..<start + range.upperBound)
  }

  /// Stream offset of the segment that holds the window; nil when the window holds a large record.
  package var segmentOffset: UInt64? { isLarge ? nil : base &+ UInt64(StreamSegment.headroom) }

  /// Releases pinned bytes.
  package func unpin(_ bytes: PinnedBytes) { bytes.unpin() }

  /// Releases the kept segments before `offset`: no byte before it is going to be pinned.
  package func release(before offset: UInt64) {
    while let first = kept.first, first.end <= offset {
      recycle(kept.removeFirst())
    }
  }

  /// Ends `keepConsumed` and releases all kept segments.
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
  /// - Throws: `STREAM-TRUNCATED`; `SECTION-LENGTH` when `count` is above the limit.
  package func readArray(_ count: Int) throws(MigrationError) -> [UInt8] {
    try require(count)
    let copy = Array(copying: bytes.extracting(first: count))
    consume(count)
    return copy
  }

  /// The next byte, which is not consumed; nil at the end of the stream.
  package func peekByte() throws(MigrationError) -> UInt8? {
    try available(atLeast: 1) > 0 ? bytes[0] : nil
  }
}
