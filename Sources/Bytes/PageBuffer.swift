/// A fixed, page-aligned buffer that is filled and read in place, again and again.
///
/// Exists because a span of an array held by an object cannot outlive one access to that object; a
/// span of this buffer lives as long as the buffer. One thread at a time. Whoever takes
/// `mutableSpan` reads through no other span of the same bytes until done: the compiler does not
/// check that here, which is why this type is small and in a file of its own.
@safe public final class PageBuffer {
  /// Bytes.
  public let count: Int
  private let base: UnsafeMutablePointer<UInt8>

  /// A buffer of `count` zero bytes.
  public init(count: Int) {
    self.count = count
    // Freed in deinit; initialised as a whole, so every span below shows initialised bytes.
    let memory = UnsafeMutableRawPointer.allocate(byteCount: max(count, 1), alignment: 4096)
    unsafe base = memory.initializeMemory(as: UInt8.self, repeating: 0, count: count)
  }

  deinit { unsafe UnsafeMutableRawPointer(base).deallocate() }

  /// All bytes, to read.
  public var span: Span<UInt8> {
    @_lifetime(borrow self) get {
      let span = unsafe Span(_unsafeStart: UnsafePointer(base), count: count)
      return unsafe _overrideLifetime(span, borrowing: self)
    }
  }

  /// All bytes, to write.
  public var mutableSpan: MutableSpan<UInt8> {
    @_lifetime(borrow self) get {
      let span = unsafe MutableSpan(_unsafeStart: base, count: count)
      return unsafe _overrideLifetime(span, borrowing: self)
    }
  }

  /// Moves `count` bytes from `source` to the front; the regions may overlap.
  public func moveToFront(from source: Int, count: Int) {
    precondition(source >= 0 && count >= 0 && source + count <= self.count)
    unsafe base.update(from: base + source, count: count)
  }
}
