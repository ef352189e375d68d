internal import Wire

/// A block of LZO1X (Linux `Documentation/staging/lzo.rst`), as lzop packs it.
///
///     first byte          further bytes and meaning
///     0000 LLLL           after a match without literals: a run of L + 3 literals
///     0000 DDSS H         after a match with literals: 2 bytes, from H * 4 + D + 1 back
///     0000 DDSS H         after a run of literals: 3 bytes, from H * 4 + D + 2049 back
///     0001 HLLL W         L + 2 bytes, from H * 16384 + W / 4 + 16384 back; 16384 is the end
///     001L LLLL W         L + 2 bytes, from W / 4 + 1 back
///     01LD DDSS H         L + 3 bytes, from H * 8 + D + 1 back
///     1LLD DDSS H         L + 5 bytes, from H * 8 + D + 1 back
///
/// H is one byte; W is two bytes, little-endian. If L is 0, the length continues in the next bytes,
/// except in the last two forms. S (the lowest two bits of W where there is a W) is the number of
/// literals after the match.
enum LZO1X {
  private enum Last { case literals, matchWithLiterals, match }

  /// Unpacks a block.
  /// - Parameters:
  ///   - packed: the whole block.
  ///   - output: room for the largest content allowed.
  /// - Returns: number of bytes of the content; nil when the bytes are not an LZO1X block.
  static func unpack(_ packed: Span<UInt8>, into output: inout MutableSpan<UInt8>) -> Int? {
    var reader = Reader(packed)
    var place = 0
    var last = Last.match
    if let first = reader.peek, first > 17 {
      reader.next += 1
      let count = Int(first) - 17
      guard reader.literals(count, into: &output, &place) else { return nil }
      last = count < 4 ? .matchWithLiterals : .literals
    }
    while let code = reader.byte() {
      if code < 16, last == .match {
        guard let count = reader.length(Int(code), over: 15),
          reader.literals(count + 3, into: &output, &place)
        else { return nil }
        last = .literals
        continue
      }
      guard let match = reader.match(code, afterLiterals: last == .literals) else { return nil }
      if match.isEnd { return reader.next == packed.count ? place : nil }
      guard output.repeatBytes(match.count, from: match.distance, to: place) else { return nil }
      place += match.count
      guard reader.literals(match.literals, into: &output, &place) else { return nil }
      last = match.literals > 0 ? .matchWithLiterals : .match
    }
    return nil
  }

  private struct Match {
    var count: Int
    var distance: Int
    var literals: Int
    var isEnd = false
  }

  private struct Reader: ~Escapable {
    private let packed: Span<UInt8>
    var next = 0

    @_lifetime(copy packed)
    init(_ packed: Span<UInt8>) { self.packed = packed }

    var peek: UInt8? { next < packed.count ? packed[next] : nil }

    mutating func byte() -> UInt8? {
      guard next < packed.count else { return nil }
      defer { next += 1 }
      return packed[next]
    }

    mutating func word() -> Int? {
      guard packed.count - next >= 2 else { return nil }
      defer { next += 2 }
      return Int(packed[next]) | Int(packed[next + 1]) << 8
    }

    /// A length whose lowest bits are in the first byte. If they are 0, the length continues in the
    /// next bytes.
    mutating func length(_ bits: Int, over most: Int) -> Int? {
      if bits != 0 { return bits }
      var length = most
      while let byte = byte() {
        if byte != 0 { return length + Int(byte) }
        length += 255
      }
      return nil
    }

    mutating func literals(
      _ count: Int, into output: inout MutableSpan<UInt8>, _ place: inout Int
    ) -> Bool {
      guard output.take(count, of: packed, from: next, to: place) else { return false }
      next += count
      place += count
      return true
    }

    mutating func match(_ code: UInt8, afterLiterals: Bool) -> Match? {
      let code = Int(code)
      switch code {
      case 0..<16:
        guard let high = byte() else { return nil }
        let distance = Int(high) << 2 + code >> 2 + 1
        return afterLiterals
          ? Match(count: 3, distance: distance + 2048, literals: code & 3)
          : Match(count: 2, distance: distance, literals: code & 3)
      case 16..<32:
        guard let count = length(code & 7, over: 7), let word = word() else { return nil }
        let distance = (code & 8) << 11 + word >> 2
        return Match(
          count: count + 2, distance: distance + 16384, literals: word & 3, isEnd: distance == 0)
      case 32..<64:
        guard let count = length(code & 31, over: 31), let word = word() else { return nil }
        return Match(count: count + 2, distance: word >> 2 + 1, literals: word & 3)
      default:
        guard let high = byte() else { return nil }
        let count = code < 128 ? code >> 5 & 1 + 3 : code >> 5 & 3 + 5
        return Match(
          count: count, distance: Int(high) << 3 + code >> 2 & 7 + 1, literals: code & 3)
      }
    }
  }
}
