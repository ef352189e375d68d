internal import Errors
internal import Wire

/// Reads consecutive bzip2 streams. The format has no specification other than the program itself.
///
/// A stream consists of "BZh", a digit for the size of its largest block in units of 100,000 bytes,
/// the blocks, and an end: six bytes and a checksum over the checksums of the blocks. A block is a
/// Burrows-Wheeler transform of runs. Its content may be fifty times as long, and is never held in
/// memory as a whole.
struct Bzip2Reader: ContentReader {
  private static let blockMark = 0x3141_5926_5359
  private static let endMark = 0x1772_4538_5090

  private var bits: BitReader?
  /// Largest size of a block in bytes; nil between streams.
  private var blockSize: Int?
  private var streamChecksum: UInt32 = 0
  private var block: Bzip2Block?

  mutating func read(
    _ packed: StreamInput, into output: inout MutableSpan<UInt8>
  ) throws(MigrationError) -> Int {
    var bits = self.bits ?? BitReader(packed)
    defer { self.bits = bits }
    while true {
      if block != nil {
        let count = block?.give(to: &output) ?? 0
        if count > 0 { return count }
        guard let block, block.isRight else { throw Self.refused(at: bits.offset) }
        streamChecksum = (streamChecksum << 1 | streamChecksum >> 31) ^ block.checksum
        self.block = nil
      }
      if let blockSize {
        try next(&bits, blockSize)
      } else {
        if try bits.isAtEnd() { return 0 }
        try begin(&bits)
      }
    }
  }

  static func refused(at offset: UInt64) -> MigrationError {
    MigrationError(.imageData, "packed bytes are not bzip2", at: offset)
  }

  private mutating func begin(_ bits: inout BitReader) throws(MigrationError) {
    let start = bits.offset
    guard try bits.read(24) == 0x425a68, case let level = try bits.read(8) - 0x30, 1...9 ~= level
    else { throw Self.refused(at: start) }
    blockSize = level * 100_000
    streamChecksum = 0
  }

  private mutating func next(
    _ bits: inout BitReader, _ blockSize: Int
  ) throws(MigrationError) {
    let start = bits.offset
    switch try bits.read(24) << 24 | bits.read(24) {
    case Self.blockMark: block = try Bzip2Block(&bits, limit: blockSize)
    case Self.endMark:
      guard try bits.read(32) == Int(streamChecksum) else { throw Self.refused(at: start) }
      bits.align()
      self.blockSize = nil
    default: throw Self.refused(at: start)
    }
  }
}
