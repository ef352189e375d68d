/// Copies between spans and arrays. Byte by byte they would cost more than encrypting the same
/// bytes. Each unsafe call below moves one region that was just checked, or the whole of a span.

extension Array where Element == UInt8 {
  /// The bytes of `span`, copied.
  @inlinable package init(copying span: Span<UInt8>) {
    self = unsafe span.withUnsafeBufferPointer { unsafe Array($0) }
  }

  /// Appends the bytes of `span`.
  @inlinable package mutating func append(copying span: Span<UInt8>) {
    unsafe span.withUnsafeBufferPointer { unsafe append(contentsOf: $0) }
  }
}

extension MutableSpan<UInt8> {
  /// Writes `value` at `offset`, most significant byte first. Precondition: its bytes lie in the
  /// span.
  @inlinable package mutating func put<Field: FixedWidthInteger & UnsignedInteger>(
    bigEndian value: Field, at offset: Int
  ) {
    let size = Field.bitWidth / 8
    for index in 0..<size {
      self[offset + index] = UInt8(truncatingIfNeeded: value >> Field(8 * (size - 1 - index)))
    }
  }

  /// Copies all of `source` to `offset`. Precondition: the bytes fit into the span.
  @inlinable package mutating func copy(_ source: Span<UInt8>, to offset: Int) {
    precondition(offset >= 0 && source.count <= count - offset)
    unsafe withUnsafeMutableBufferPointer { target in
      unsafe source.withUnsafeBufferPointer { source in
        guard let start = source.baseAddress, let target = target.baseAddress else { return }
        unsafe (target + offset).update(from: start, count: source.count)
      }
    }
  }

  /// Zeroes the bytes of `range`. Precondition: they lie in the span.
  @inlinable package mutating func zero(_ range: Range<Int>) {
    precondition(range.lowerBound >= 0 && range.upperBound <= count)
    unsafe withUnsafeMutableBufferPointer { bytes in
      guard let base = bytes.baseAddress else { return }
      unsafe (base + range.lowerBound).update(repeating: 0, count: range.count)
    }
  }

  /// Moves `size` bytes from `source` to `target`; the regions may overlap. Precondition: both lie
  /// in the span.
  @inlinable package mutating func move(_ size: Int, from source: Int, to target: Int) {
    precondition(size >= 0 && source >= 0 && source <= count - size)
    precondition(target >= 0 && target <= count - size)
    if source == target { return }
    unsafe withUnsafeMutableBufferPointer { bytes in
      guard let base = bytes.baseAddress else { return }
      unsafe (base + target).update(from: base + source, count: size)
    }
  }
}
