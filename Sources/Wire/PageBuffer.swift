internal import Glibc

/// A fixed, page-aligned buffer that is filled and read in place, again and again.
///
/// Exists because a span of an array held by an object cannot outlive one access to that object; a
/// span of this buffer lives as long as the buffer. Several threads may use it at once as long as
/// nobody reads or writes what another one writes: whoever takes a mutable span sees to it that no
/// other span of the same bytes is in use. The compiler does not check that here, which is why
/// this type is small and in a file of its own.
@usableFromInline
@safe package final class PageBuffer: @unchecked Sendable {
  /// Bytes.
  @usableFromInline package let count: Int
  @usableFromInline let base: UnsafeMutablePointer<UInt8>

  /// A buffer of `count` zero bytes. Those that are never touched take no memory.
  package init(count: Int) {
    self.count = count
    // Unmapped in deinit. Pages come zero from the kernel, so every span below shows initialised bytes.
    let memory = unsafe mmap(
      nil, max(count, 1), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let memory = unsafe memory, unsafe memory != MAP_FAILED else {
      preconditionFailure("no memory for \(count) bytes")
    }
    unsafe base = memory.bindMemory(to: UInt8.self, capacity: count)
  }

  deinit { unsafe munmap(base, max(count, 1)) }

  /// All bytes, to read.
  @inlinable package var span: Span<UInt8> {
    @_lifetime(borrow self) get {
      let span = unsafe Span(_unsafeStart: UnsafePointer(base), count: count)
      return unsafe _overrideLifetime(span, borrowing: self)
    }
  }

  /// All bytes, to write.
  @inlinable package var mutableSpan: MutableSpan<UInt8> {
    @_lifetime(borrow self) get {
      let span = unsafe MutableSpan(_unsafeStart: base, count: count)
      return unsafe _overrideLifetime(span, borrowing: self)
    }
  }

  /// The bytes of `range`, to write. Precondition: the buffer has them.
  @inlinable @_lifetime(borrow self)
  package func mutableSpan(_ range: Range<Int>) -> MutableSpan<UInt8> {
    precondition(range.lowerBound >= 0 && range.upperBound <= count)
    let span = unsafe MutableSpan(_unsafeStart: base + range.lowerBound, count: range.count)
    return unsafe _overrideLifetime(span, borrowing: self)
  }

  /// Moves `count` bytes from `source` to `target`; the regions may overlap.
  @inlinable package func move(_ count: Int, from source: Int, to target: Int) {
    precondition(count >= 0 && source >= 0 && source <= self.count - count)
    precondition(target >= 0 && target <= self.count - count)
    unsafe (base + target).update(from: base + source, count: count)
  }

  /// Makes the bytes of `range` zero.
  @inlinable package func zero(_ range: Range<Int>) {
    precondition(range.lowerBound >= 0 && range.upperBound <= count)
    unsafe (base + range.lowerBound).update(repeating: 0, count: range.count)
  }
}
