extension Span<UInt8> {
  /// Whether every byte is zero.
  ///
  /// It ORs 256 bytes at a time, which the compiler turns into vector instructions: it is as fast
  /// as memory on zero data, and on other data ends after the first block with a byte that is not
  /// zero.
  @inlinable package var isAllZero: Bool {
    var start = 0
    while start < count {
      let end = Swift.min(start + 256, count)
      var bits: UInt8 = 0
      for index in start..<end { bits |= self[index] }
      if bits != 0 { return false }
      start = end
    }
    return true
  }

  /// Whether the bytes are equal to those of `other`.
  @inlinable package func isEqual(to other: [UInt8]) -> Bool {
    guard count == other.count else { return false }
    for index in other.indices where self[index] != other[index] { return false }
    return true
  }

  /// Whether the bytes are equal to those of `other`. Compares 256 bytes at a time, like
  /// `isAllZero`.
  @inlinable package func isEqual(to other: Span<UInt8>) -> Bool {
    guard count == other.count else { return false }
    var start = 0
    while start < count {
      let end = Swift.min(start + 256, count)
      var bits: UInt8 = 0
      for index in start..<end { bits |= self[index] ^ other[index] }
      if bits != 0 { return false }
      start = end
    }
    return true
  }
}
