internal import Errors

/// Reads bits of an input, beginning with the highest of each byte. A byte is consumed only when
/// one of its bits is needed.
struct BitReader {
  private let input: StreamInput
  /// The lowest `count` bits have been read but not returned.
  private var bits: UInt64 = 0
  private var count = 0

  init(_ input: StreamInput) { self.input = input }

  /// Offset of the byte that holds the next bits to be read.
  var offset: UInt64 { input.offset }

  /// - Parameter wanted: number of bits, at most 32.
  /// - Throws: `STREAM-TRUNCATED`.
  mutating func read(_ wanted: Int) throws(MigrationError) -> Int {
    while count < wanted {
      try input.require(1)
      bits = bits << 8 | UInt64(input.bytes[0])
      input.consume(1)
      count += 8
    }
    count -= wanted
    return Int(bits >> UInt64(count) & (1 << UInt64(wanted) - 1))
  }

  mutating func readBit() throws(MigrationError) -> Bool { try read(1) == 1 }

  /// Skips the remaining bits of a byte.
  mutating func align() { count -= count % 8 }

  /// Whether nothing is left to read, and the position is a byte boundary.
  func isAtEnd() throws(MigrationError) -> Bool { count == 0 ? try input.isAtEnd() : false }
}
