internal import CZlib
internal import Errors
internal import Wire

/// Reads consecutive lzop files.
///
/// A file consists of these fields, with all integers big-endian:
///
///     size  field
///        9  magic               89 4c 5a 4f 00 0d 0a 1a 0a
///        2  version             of lzop
///        2  library's version
///        2  version needed      from 0x940 on
///        1  method              1 to 3: LZO1X
///        1  level               from version 0x940 on
///        4  flags
///        4  filter              where flag 0x800 is set
///        4  mode, 4 or 8 time   8 from version 0x940 on
///        1  length of the name, and the name
///        4  Adler-32, or with flag 0x1000 CRC-32, of the fields after the magic
///           with flag 0x40: length (4), that many bytes, a checksum (4)
///           blocks: bytes unpacked (4; 0 ends the file), bytes packed (4), Adler-32 (flag 1) and
///           CRC-32 (flag 0x100) of the content; for a packed block also those of the packed bytes
///           (flags 2 and 0x200); the bytes, which are not packed if both sizes are equal
struct LzopReader: ContentReader {
  private static let magic: [UInt8] = FileKind.lzop.magic
  /// Largest content of a block in bytes; lzop writes blocks of 256 KiB.
  private static let blockLimit: UInt32 = 16 << 20

  private var block = UnpackedBlock()
  /// Flags of the file that is being read; nil between files.
  private var flags: UInt32?

  mutating func read(
    _ packed: StreamInput, into output: inout MutableSpan<UInt8>
  ) throws(MigrationError) -> Int {
    while true {
      let count = block.give(to: &output)
      if count > 0 { return count }
      if let flags {
        if try !next(packed, flags) { self.flags = nil }
      } else {
        if try packed.isAtEnd() { return 0 }
        flags = try Self.head(packed)
      }
    }
  }

  private static func refused(at offset: UInt64) -> MigrationError {
    MigrationError(.imageData, "packed bytes are not lzop", at: offset)
  }

  /// Reads the header of a file.
  /// - Returns: its flags.
  private static func head(_ packed: StreamInput) throws(MigrationError) -> UInt32 {
    let start = packed.offset
    guard try packed.readArray(magic.count) == magic else { throw refused(at: start) }
    var head: [UInt8] = []
    func number(_ size: Int) throws(MigrationError) -> UInt32 {
      let bytes = try packed.readArray(size)
      head += bytes
      return UInt32(truncatingIfNeeded: UInt64(bigEndianBytes: bytes))
    }
    let isNew = try number(2) >= 0x940
    _ = try number(isNew ? 4 : 2)
    let method = try number(1)
    if isNew { _ = try number(1) }
    let flags = try number(4)
    guard 1...3 ~= method, flags & 0xc00 == 0 else {
      throw MigrationError(
        .imageFormat, "lzop with this method or filter is not supported", at: start,
        expected: "LZO1X without filter")
    }
    _ = try number(isNew ? 12 : 8)
    _ = try number(Int(try number(1)))
    let covered = head
    guard try number(4) == checksum(covered.span, isCRC: flags & 0x1000 != 0) else {
      throw refused(at: start)
    }
    if flags & 0x40 != 0 { try packed.skip(UInt64(try number(4)) + 4) }
    return flags
  }

  /// Reads a block.
  /// - Returns: false at the end of the file.
  private mutating func next(
    _ packed: StreamInput, _ flags: UInt32
  ) throws(MigrationError) -> Bool {
    let start = packed.offset
    let size = try packed.read(UInt32.self)
    if size == 0 { return false }
    let packedSize = try packed.read(UInt32.self)
    guard size <= Self.blockLimit, packedSize <= size, packedSize > 0 else {
      throw Self.refused(at: start)
    }
    let isPacked = packedSize < size
    var checksums: [(isCRC: Bool, ofPacked: Bool, value: UInt32)] = []
    for (flag, isCRC, ofPacked) in [
      (1, false, false), (0x100, true, false), (2, false, true), (0x200, true, true),
    ] as [(UInt32, Bool, Bool)] where flags & flag != 0 && (isPacked || !ofPacked) {
      checksums.append((isCRC, ofPacked, try packed.read()))
    }
    try packed.require(Int(packedSize))
    _ = block.makeRoom(for: Int(size))
    let bytes = packed.bytes.extracting(first: Int(packedSize))
    var target = block.bytes.mutableSpan
    var room = target._mutatingExtracting(0..<Int(size))
    if isPacked {
      guard LZO1X.unpack(bytes, into: &room) == Int(size) else { throw Self.refused(at: start) }
    } else {
      room.copy(bytes, to: 0)
    }
    for checksum in checksums {
      let found =
        checksum.ofPacked
        ? Self.checksum(bytes, isCRC: checksum.isCRC)
        : Self.checksum(block.bytes.span.extracting(first: Int(size)), isCRC: checksum.isCRC)
      guard found == checksum.value else { throw Self.refused(at: start) }
    }
    packed.consume(Int(packedSize))
    block.rest = 0..<Int(size)
    return true
  }

  private static func checksum(_ bytes: Span<UInt8>, isCRC: Bool) -> UInt32 {
    // zlib reads only the bytes lent for this call, whose number it is given.
    unsafe bytes.withUnsafeBufferPointer { bytes in
      let count = UInt32(truncatingIfNeeded: bytes.count)
      return UInt32(
        truncatingIfNeeded: unsafe isCRC
          ? crc32(0, bytes.baseAddress, count) : adler32(1, bytes.baseAddress, count))
    }
  }
}
