public import Bytes

/// A forward-only window over a byte source: the bytes not yet consumed, contiguous, in one buffer.
///
/// Memory stays at `capacity` bytes unless one record needs more, and never passes `limit`. One
/// thread at a time. All unsafe code of this module's input is in this file: the buffer is
/// reserved once at `limit` bytes (untouched pages cost nothing) and lives as long as the object, so
/// a span of it never dangles; what it shows is valid until the next call that may refill
/// (`require`, `available`, `skip` and the `read…` functions).
@safe public final class StreamInput {
  /// Sees consumed bytes in order, each once.
  public typealias Tap = (Span<UInt8>) throws(MigrationError) -> Void

  /// Largest record that can be made contiguous unless told otherwise: 64 MiB.
  public static let defaultLimit = 64 << 20

  private let source: any ByteSource
  private let base: UnsafeMutablePointer<UInt8>
  private let limit: Int
  /// Bytes of the buffer in use: `capacity`, or more once a record needed it.
  private var size: Int
  /// The window is `start..<end` of the buffer; `tapped..<start` still has to be shown to the tap.
  private var start = 0
  private var end = 0
  private var tapped = 0
  private var ended = false
  private var tap: Tap?
  /// Stream offset of the buffer's first byte.
  private var baseOffset: UInt64

  /// - Parameters:
  ///   - source: read from its present place on.
  ///   - capacity: bytes read at once; rounded up to whole pages.
  ///   - limit: most bytes one record may need.
  ///   - offset: stream offset of the first byte, when the source does not start at 0.
  public init(
    _ source: any ByteSource, capacity: Int = 1 << 20, limit: Int = StreamInput.defaultLimit,
    offset: UInt64 = 0
  ) {
    self.source = source
    self.size = (max(capacity, 1) + 4095) & ~4095
    self.limit = max(limit, size)
    self.baseOffset = offset
    // Freed in deinit; bound to UInt8 for good.
    let memory = UnsafeMutableRawPointer.allocate(byteCount: self.limit, alignment: 4096)
    unsafe self.base = memory.bindMemory(to: UInt8.self, capacity: self.limit)
  }

  deinit { unsafe UnsafeMutableRawPointer(base).deallocate() }

  /// Stream offset of the first byte not consumed.
  public var offset: UInt64 { baseOffset &+ UInt64(start) }

  /// Bytes in the window now.
  public var count: Int { end - start }

  /// The window: every byte read but not consumed.
  public var bytes: Span<UInt8> {
    @_lifetime(borrow self) get {
      // start and end stay within the buffer, and its bytes below `end` are initialised.
      let window = unsafe Span<UInt8>(_unsafeStart: base + start, count: end - start)
      return unsafe _overrideLifetime(window, borrowing: self)
    }
  }

  /// Makes at least `needed` bytes contiguous in the window.
  /// - Throws: `STREAM-TRUNCATED` at the place where the stream ends; `SECTION-LENGTH` when more
  ///   than the limit is asked for; what the source or the tap throws.
  public func require(_ needed: Int) throws(MigrationError) {
    if end - start >= needed { return }
    let got = try available(atLeast: needed)
    guard got >= needed else {
      throw MigrationError(
        .streamTruncated, "stream ends early", at: offset &+ UInt64(got),
        expected: "\(needed) bytes from byte 0x\(String(offset, radix: 16))", got: "\(got)")
    }
  }

  /// Like `require`, but a stream that ends is no error.
  /// - Returns: bytes in the window; less than `needed` only at the end of the stream.
  public func available(atLeast needed: Int) throws(MigrationError) -> Int {
    if end - start >= needed || ended { return end - start }
    guard needed <= limit else {
      throw MigrationError(
        .sectionLength, "record is too large", at: offset, expected: "at most \(limit) bytes",
        got: "\(needed)")
    }
    try makeRoom(for: needed)
    while end - start < needed {
      let room = unsafe UnsafeMutableRawBufferPointer(start: base + end, count: size - end)
      let got = try unsafe source.read(into: room)
      guard got > 0 else {
        ended = true
        break
      }
      // A source that claims more than it had room for must not move the window past the buffer.
      guard got <= size - end else { throw MigrationError(.internal, "source overran its buffer") }
      end += got
    }
    return end - start
  }

  /// Whether nothing is left to read.
  public func isAtEnd() throws(MigrationError) -> Bool { try available(atLeast: 1) == 0 }

  /// Drops `count` bytes from the front of the window. Precondition: they are in the window.
  public func consume(_ count: Int) {
    precondition(count >= 0 && count <= end - start)
    start += count
  }

  /// Consumes `count` bytes, however many, without holding them all.
  /// - Throws: `STREAM-TRUNCATED`.
  public func skip(_ count: UInt64) throws(MigrationError) {
    var left = count
    while left > 0 {
      try require(1)
      let step = Int(min(left, UInt64(self.count)))
      consume(step)
      left -= UInt64(step)
    }
  }

  /// Shows every byte consumed from now on to `tap`: once, in order, in large pieces, just before
  /// it is overwritten or on `flushTap`. Replaces an earlier tap, which sees nothing more.
  public func startTap(_ tap: @escaping Tap) {
    self.tap = tap
    tapped = start
  }

  /// Shows the tap what has been consumed up to here.
  public func flushTap() throws(MigrationError) {
    defer { tapped = start }
    guard let tap, start > tapped else { return }
    // Below `start`, so within the initialised part of the buffer.
    let piece = unsafe Span<UInt8>(_unsafeStart: base + tapped, count: start - tapped)
    try tap(piece)
  }

  /// Flushes and removes the tap.
  public func stopTap() throws(MigrationError) {
    try flushTap()
    tap = nil
  }

  /// Moves the window to the front of the buffer, and takes more of the buffer when a record is
  /// larger than what is in use.
  private func makeRoom(for needed: Int) throws(MigrationError) {
    // A window this small is cheaper to move than to read around.
    let isCheapToMove = end - start <= size / 16
    guard start > 0, isCheapToMove || start + needed > size else {
      size = max(size, needed)
      return
    }
    try flushTap()
    unsafe base.update(from: base + start, count: end - start)
    baseOffset &+= UInt64(start)
    end -= start
    start = 0
    tapped = 0
    size = max(size, needed)
  }
}

extension StreamInput {
  /// Reads and consumes one big-endian field.
  /// - Throws: `STREAM-TRUNCATED`.
  @inlinable public func read<Field: FixedWidthInteger & UnsignedInteger>(
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
  public func readArray(_ count: Int) throws(MigrationError) -> [UInt8] {
    try require(count)
    let copy = Array(copying: bytes.extracting(first: count))
    consume(count)
    return copy
  }

  /// The next byte, left in place; nil at the end of the stream.
  public func peekByte() throws(MigrationError) -> UInt8? {
    try available(atLeast: 1) > 0 ? bytes[0] : nil
  }
}
