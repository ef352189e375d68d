internal import Errors
internal import Wire

/// Reads consecutive frames of LZ4 (`lz4_Frame_format.md`), including legacy frames.
///
/// A frame consists of these fields:
///
///     size  field
///        4  magic          04 22 4d 18
///        1  flags          bit 7-6 version 1, 5 blocks are independent, 4 their checksums,
///                          3 content size, 2 content checksum, 0 dictionary
///        1  block size     bits 6-4: 4 to 7, for 64 KiB, 256 KiB, 1 MiB, 4 MiB
///        8  content size   where the flag is set
///        1  checksum       second byte of XXH32 of the fields after the magic
///           blocks: size (4; bit 31: not packed), bytes, checksum where the flag is set
///        4  0
///        4  XXH32 of the content, where the flag is set
///
/// A legacy frame consists of the magic 02 21 4c 18 and blocks of at most 8 MiB unpacked, each
/// preceded by its size, up to the end or the next magic. Integers are little-endian.
struct LZ4Reader: ContentReader {
  private enum State {
    case between
    case frame(Frame)
    case old
  }

  /// The fields of a frame's header.
  private struct Frame {
    var isIndependent: Bool
    var hasBlockChecksums: Bool
    var blockSize: Int
    var contentSize: UInt64?
    var checksum: XXH32?
    /// Number of bytes of content so far.
    var done: UInt64 = 0
  }

  private static let magic: UInt32 = 0x184d_2204
  private static let oldMagic: UInt32 = 0x184c_2102
  /// Magics of frames that are skipped.
  private static let skipped: ClosedRange<UInt32> = 0x184d_2a50...0x184d_2a5f
  private static let history = 64 << 10
  private static let oldBlockSize = 8 << 20

  private var state = State.between
  private var block = UnpackedBlock()

  mutating func read(
    _ packed: StreamInput, into output: inout MutableSpan<UInt8>
  ) throws(MigrationError) -> Int {
    while true {
      let count = block.give(to: &output)
      if count > 0 { return count }
      switch state {
      case .between: if try !begin(packed) { return 0 }
      case .frame(var frame):
        state = try next(packed, &frame) ? .frame(frame) : .between
      case .old: if try !nextOld(packed) { state = .between }
      }
    }
  }

  private static func refused(at offset: UInt64) -> MigrationError {
    MigrationError(.imageData, "packed bytes are not lz4", at: offset)
  }

  private static func number(_ packed: StreamInput) throws(MigrationError) -> UInt32 {
    try packed.read(UInt32.self).byteSwapped
  }

  /// Reads the header of a frame.
  /// - Returns: false at the end.
  private mutating func begin(_ packed: StreamInput) throws(MigrationError) -> Bool {
    let start = packed.offset
    if try packed.isAtEnd() { return false }
    switch try Self.number(packed) {
    case Self.magic: state = .frame(try Self.frame(packed))
    case Self.oldMagic: state = .old
    case Self.skipped: try packed.skip(UInt64(try Self.number(packed)))
    default: throw Self.refused(at: start)
    }
    return true
  }

  private static func frame(_ packed: StreamInput) throws(MigrationError) -> Frame {
    let start = packed.offset
    try packed.require(2)
    let (flags, sizes) = (packed.bytes[0], packed.bytes[1])
    guard flags >> 6 == 1, flags & 2 == 0, 4...7 ~= sizes >> 4, sizes & 15 == 0 else {
      throw refused(at: start)
    }
    guard flags & 1 == 0 else {
      throw MigrationError(
        .imageFormat, "lz4 with a dictionary is not supported", at: start)
    }
    let hasSize = flags & 8 != 0
    let head = try packed.readArray(hasSize ? 10 : 2)
    var checksum = XXH32()
    checksum.take(head.span)
    guard try packed.readArray(1)[0] == UInt8(truncatingIfNeeded: checksum.value >> 8) else {
      throw refused(at: start)
    }
    let size = hasSize ? UInt64(bigEndianBytes: head[2...].reversed()) : nil
    return Frame(
      isIndependent: flags & 32 != 0, hasBlockChecksums: flags & 16 != 0,
      blockSize: 1 << (8 + 2 * Int(sizes >> 4)), contentSize: size,
      checksum: flags & 4 != 0 ? XXH32() : nil)
  }

  /// Reads a block, or the end of the frame.
  /// - Returns: false at the end.
  private mutating func next(
    _ packed: StreamInput, _ frame: inout Frame
  ) throws(MigrationError) -> Bool {
    let start = packed.offset
    let word = try Self.number(packed)
    guard word != 0 else {
      let isWhole = frame.contentSize.map { $0 == frame.done } ?? true
      if let checksum = frame.checksum {
        guard try Self.number(packed) == checksum.value else { throw Self.refused(at: start) }
      }
      guard isWhole else { throw Self.refused(at: start) }
      return false
    }
    let size = Int(word & 0x7fff_ffff)
    guard size <= frame.blockSize else { throw Self.refused(at: start) }
    try packed.require(size + (frame.hasBlockChecksums ? 4 : 0))
    let first = block.makeRoom(
      for: frame.blockSize, history: frame.isIndependent ? 0 : Self.history)
    let bytes = packed.bytes.extracting(first: size)
    var target = block.bytes.mutableSpan
    var room = target._mutatingExtracting(0..<first + frame.blockSize)
    let end: Int?
    if word >> 31 == 1 {
      room.copy(bytes, to: first)
      end = first + size
    } else {
      end = LZ4Block.unpack(bytes, into: &room, at: first)
    }
    guard let end else { throw Self.refused(at: start) }
    if frame.hasBlockChecksums {
      var checksum = XXH32()
      checksum.take(bytes)
      packed.consume(size)
      guard try Self.number(packed) == checksum.value else { throw Self.refused(at: start) }
    } else {
      packed.consume(size)
    }
    block.rest = first..<end
    frame.checksum?.take(block.bytes.span.extracting(first..<end))
    frame.done += UInt64(end - first)
    return true
  }

  /// Reads a block of a legacy frame.
  /// - Returns: false at its end.
  private mutating func nextOld(_ packed: StreamInput) throws(MigrationError) -> Bool {
    let start = packed.offset
    if try packed.isAtEnd() { return false }
    try packed.require(4)
    let word = UInt32(
      truncatingIfNeeded: UInt64(bigEndianBytes: (0..<4).map { packed.bytes[3 - $0] }))
    // No block is as long as these magics, read as a size.
    if word == Self.magic || word == Self.oldMagic || Self.skipped ~= word { return false }
    packed.consume(4)
    guard word <= Self.oldBlockSize + Self.oldBlockSize / 255 + 16 else {
      throw Self.refused(at: start)
    }
    try packed.require(Int(word))
    _ = block.makeRoom(for: Self.oldBlockSize)
    var target = block.bytes.mutableSpan
    guard
      let end = LZ4Block.unpack(packed.bytes.extracting(first: Int(word)), into: &target, at: 0)
    else { throw Self.refused(at: start) }
    packed.consume(Int(word))
    block.rest = 0..<end
    return true
  }
}
