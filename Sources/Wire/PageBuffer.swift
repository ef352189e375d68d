internal import Glibc

/// A page-aligned buffer of fixed size that is filled and read in place any number of times.
///
/// It exists because a span of an array in an object cannot outlive one access to that object,
/// while a span of this buffer lives as long as the buffer. Several threads may use it at once,
/// provided that none reads or writes bytes that another one writes: a caller that takes a mutable
/// span must ensure that no other span of the same bytes is in use. The compiler does not check
/// this, which is why this type is small and in a file of its own.
@usableFromInline
@safe package final class PageBuffer: @unchecked Sendable {
  /// Bytes.
  @usableFromInline package let count: Int
  @usableFromInline let base: UnsafeMutablePointer<UInt8>

  /// Makes a buffer of `count` zero bytes. Pages that are never touched take no memory.
  package init(count: Int) {
    self.count = count
    // The memory is unmapped in deinit. The kernel provides zeroed pages, so all bytes of the spans
    // below are initialised.
    let memory = unsafe mmap(
      nil, max(count, 1), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let memory = unsafe memory, unsafe memory != MAP_FAILED else {
      preconditionFailure("no memory for \(count) bytes")
    }
    unsafe base = memory.bindMemory(to: UInt8.self, capacity: count)
  }

  deinit { unsafe munmap(base, max(count, 1)) }

  /// All bytes, for reading.
  @inlinable package var span: Span<UInt8> {
    @_lifetime(borrow self) get {
      let span = unsafe Span(_unsafeStart: UnsafePointer(base), count: count)
      return unsafe _overrideLifetime(span, borrowing: self)
    }
  }

  /// All bytes, for writing.
  @inlinable package var mutableSpan: MutableSpan<UInt8> {
    @_lifetime(borrow self) get {
      let span = unsafe MutableSpan(_unsafeStart: base, count: count)
      return unsafe _overrideLifetime(span, borrowing: self)
    }
  }

  /// The bytes of `range`, for writing. Precondition: they lie in the buffer.
  @inlinable @_lifetime(borrow self)
  package func mutableSpan(_ range: Range<Int>) -> MutableSpan<UInt8> {
    precondition(range.lowerBound >= 0 && range.upperBound <= count)
    let span = unsafe MutableSpan(_unsafeStart: base + range.lowerBound, count: range.count)
    return unsafe _overrideLifetime(span, borrowing: self)
  }

  /// The 64-bit numbers of the buffer, in the processor's byte order, by their index.
  @inlinable package subscript(word index: Int) -> UInt64 {
    get {
      precondition(index >= 0 && index < count / 8)
      return unsafe UnsafeRawPointer(base).load(fromByteOffset: index * 8, as: UInt64.self)
    }
    set {
      precondition(index >= 0 && index < count / 8)
      unsafe UnsafeMutableRawPointer(base).storeBytes(
        of: newValue, toByteOffset: index * 8, as: UInt64.self)
    }
  }

  /// Moves `count` bytes from `source` to `target`; the regions may overlap.
  @inlinable package func move(_ count: Int, from source: Int, to target: Int) {
    precondition(count >= 0 && source >= 0 && source <= self.count - count)
    precondition(target >= 0 && target <= self.count - count)
    unsafe (base + target).update(from: base + source, count: count)
  }

  /// Zeroes the bytes of `range`.
  @inlinable package func zero(_ range: Range<Int>) {
    precondition(range.lowerBound >= 0 && range.upperBound <= count)
    unsafe (base + range.lowerBound).update(repeating: 0, count: range.count)
  }
}
