internal import Errors

/// Reads bits of an input, the highest of each byte first. Consumes no byte before a bit of it is wanted.
struct BitReader {
  private let input: StreamInput
  /// The lowest `count` bits are those that were read and not given.
  private var bits: UInt64 = 0
  private var count = 0

  init(_ input: StreamInput) { self.input = input }

  /// Offset of the byte that the next bits are read from.
  var offset: UInt64 { input.offset }

  /// - Parameter wanted: at most 32.
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

  /// Gives up the bits that are left of a byte.
  mutating func align() { count -= count % 8 }

  /// Whether nothing is left to read, on a border of two bytes.
  func isAtEnd() throws(MigrationError) -> Bool { count == 0 ? try input.isAtEnd() : false }
}
