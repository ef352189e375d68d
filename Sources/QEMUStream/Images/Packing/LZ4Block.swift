internal import Wire

/// A block of LZ4 (`lz4_Block_format.md`): sequences of a token, literals and a match.
enum LZ4Block {
  /// Unpacks a block.
  /// - Parameters:
  ///   - packed: the whole block.
  ///   - output: the earlier content, and room for the block.
  ///   - start: index in `output` at which the block begins.
  static func unpack(
    _ packed: Span<UInt8>, into output: inout MutableSpan<UInt8>, at start: Int
  ) -> Int? {
    var (next, place) = (0, start)
    while next < packed.count {
      let token = packed[next]
      next += 1
      guard let literals = length(Int(token >> 4), in: packed, &next),
        output.take(literals, of: packed, from: next, to: place)
      else { return nil }
      next += literals
      place += literals
      // The last sequence has no match.
      if next == packed.count { return place }
      guard packed.count - next >= 2 else { return nil }
      let distance = Int(packed[next]) | Int(packed[next + 1]) << 8
      next += 2
      guard let count = length(Int(token & 15), in: packed, &next),
        output.repeatBytes(count + 4, from: distance, to: place)
      else { return nil }
      place += count + 4
    }
    return nil
  }

  /// A length whose first four bits are `bits`. If they are 15, the length continues in the next
  /// bytes.
  private static func length(_ bits: Int, in packed: Span<UInt8>, _ next: inout Int) -> Int? {
    var length = bits
    guard bits == 15 else { return length }
    while next < packed.count {
      let byte = packed[next]
      next += 1
      length += Int(byte)
      if byte != 255 { return length }
    }
    return nil
  }
}
