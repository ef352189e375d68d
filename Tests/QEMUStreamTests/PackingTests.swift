import Errors
import QEMUStream
import TestSupport
import Testing
import Wire

/// Streams that other people's programs packed (`Fixtures/packed/README.md`), unpacked by readers of our
/// own.
@Suite struct PackingTests {
  private static let files: [(name: String, hasChecksum: Bool)] = [
    ("frame.lz4", true), ("linked-checked.lz4", true), ("unchecked.lz4", false),
    ("legacy.lz4", false), ("level-1.bz2", true), ("level-9.bz2", true), ("fast.lzo", true),
    ("best.lzo", true), ("crc.lzo", true), ("unchecked.lzo", false),
  ]

  private static let stream = Result { try Fixture.read("qcow2/stream-of-v3-72.xz") }

  private func unpack(_ packed: [UInt8], pieceSize: Int = .max, limit: Int = 16 << 20) throws
    -> [UInt8]
  {
    let input = StreamInput(ArraySource(packed, pieceSize: pieceSize), capacity: 4096)
    guard let kind = try FileKind(detecting: input), let packing = Packing(kind) else {
      throw MigrationError(.imageData, "not packed")
    }
    let content = try packing.content(of: input)
    var bytes: [UInt8] = []
    while try !content.isAtEnd(), bytes.count < limit {
      bytes.append(copying: content.bytes)
      content.consume(content.count)
    }
    return bytes
  }

  @Test(arguments: files.map(\.name))
  func contentIsWhatWasPacked(name: String) throws {
    let packed = try Fixture.read("packed/\(name)")
    let stream = try Self.stream.get()
    #expect(try unpack(packed) == stream)
    #expect(try unpack(packed, pieceSize: 1000) == stream)
    // Two of them, one after the other, are one.
    #expect(try unpack(packed + packed) == stream + stream)
  }

  @Test(arguments: ["long.lz4", "long.bz2", "long.lzo"])
  func longRunsAndManyBlocksAreUnpacked(name: String) throws {
    let stream = try Self.stream.get()
    var expected = [UInt8](repeating: 0, count: 1_000_000)
    for _ in 0..<2 { expected += stream }
    let line = Array("abcd\n".utf8)
    for _ in 0..<100_000 { expected += line }
    #expect(try unpack(Fixture.read("packed/\(name)")) == expected)
  }

  @Test(arguments: files.map(\.name))
  func whatIsCutOffIsRefused(name: String) throws {
    let packed = try Fixture.read("packed/\(name)")
    for length in [20, 40, packed.count / 2, packed.count - 9, packed.count - 1] {
      // Blocks of the old format of lz4 end with the file.
      let code = refusalCode { _ = try unpack(Array(packed.prefix(length))) }
      #expect(code == .streamTruncated, "\(length)")
    }
  }

  @Test(arguments: files.map(\.name))
  func bytesAfterWhatIsPackedAreRefused(name: String) throws {
    let packed = try Fixture.read("packed/\(name)")
    let code = refusalCode { _ = try unpack(packed + [UInt8](repeating: 1, count: 16)) }
    #expect(code == .imageData || name == "legacy.lz4" && code == .streamTruncated)
  }

  /// Changed bytes, 20 by a seed: refused, or the content is unchanged where a checksum is. Without one
  /// it may be other bytes, but not without end.
  @Test(arguments: files)
  func damageIsFound(file: (name: String, hasChecksum: Bool)) throws {
    let packed = try Fixture.read("packed/\(file.name)")
    let stream = try Self.stream.get()
    var seed: UInt64 = 7
    for _ in 0..<20 {
      seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      var damaged = packed
      damaged[Int(seed >> 33) % packed.count] ^= UInt8(1 << (seed >> 20 & 7))
      do {
        let content = try unpack(damaged)
        if file.hasChecksum { #expect(content == stream) }
      } catch {
        let code = (error as? MigrationError)?.code
        let codes: [ErrorCode] = [.imageData, .imageFormat, .streamTruncated, .sectionLength]
        #expect(code.map { codes.contains($0) } ?? false, "\(error)")
      }
    }
  }

  /// What expands a thousandfold is given away in pieces: a reader that stops has taken few.
  @Test func muchContentIsNotHeld() throws {
    let packed = try Fixture.read("packed/long.bz2")
    let input = StreamInput(ArraySource(packed), capacity: 4096)
    let content = try Packing.bzip2.content(of: input)
    _ = try content.readArray(100)
    #expect(content.count <= StreamInput.defaultCapacity)
  }

  /// 45,899,235 zeros, packed by bzip2: the longest content of a block.
  private static let zeros: [UInt8] = [
    0x42, 0x5a, 0x68, 0x39, 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, 0x0e, 0x09, 0xe2, 0xdf, 0x01, 0x5f,
    0x8e, 0x40, 0x00, 0xc0, 0x00, 0x00, 0x08, 0x20, 0x00, 0x30, 0x80, 0x4d, 0x46, 0x42, 0xa0, 0x25,
    0xa9, 0x0a, 0x80, 0x97, 0x17, 0x72, 0x45, 0x38, 0x50, 0x90, 0x0e, 0x09, 0xe2, 0xdf,
  ]

  /// A million times as long, content would take hours for a file of a few mebibytes. Zstd reaches the
  /// limit, and the other formats do not.
  @Test func contentIsNotFarLongerThanWhatIsPacked() throws {
    let blocks = 40
    let packed = Array(repeatElement(Self.zeros, count: blocks).joined())
    let content = try Packing.bzip2.content(of: StreamInput(ArraySource(packed), capacity: 4096))
    var count: UInt64 = 0
    let code = refusalCode {
      while try !content.isAtEnd() {
        count += UInt64(content.count)
        content.consume(content.count)
      }
    }
    #expect(code == .imageFormat)
    #expect(count > LimitedContent.free && count < UInt64(blocks * 45_899_235))
    #expect(count <= LimitedContent.free + LimitedContent.ratio * UInt64(packed.count))
  }

  /// A record of 30 bytes that holds a page costs as much time as a page. So pages that records pack count as
  /// content, wherever the stream lies in what was unpacked.
  @Test(arguments: [false, true]) func packedPagesAreContent(hasInputOfItsOwn: Bool) throws {
    var content = try Packing.bzip2.content(of: StreamInput(ArraySource(Self.zeros)))
    try content.require(1)
    if hasInputOfItsOwn { content = StreamInput(RestSource(of: content)) }
    let records = PackedRecords()
    // No record is well formed, but each is counted.
    func restore() -> ErrorCode? {
      refusalCode {
        try records.restore(
          .compressed(RAMPage(block: 0, offset: 0), length: 1), from: content, size: 4096
        ) { _, _ in }
      }
    }
    try content.require(1)
    try content.count(unpacked: Int(LimitedContent.free) - (4 << 20))
    #expect(restore() == .ramData)
    let most = (4 << 20 + Self.zeros.count * Int(LimitedContent.ratio)) / 4096
    let codes = (0..<most).map { _ in restore() }
    #expect(codes.first == .ramData && codes.last == .imageFormat)
  }

  @Test("pages that records of a plain stream pack are not counted")
  func aPlainStreamPacksWhatItWants() throws {
    try StreamInput(ArraySource([0])).count(unpacked: .max)
  }

  @Test func filesAreKnownByTheirFirstBytes() throws {
    for kind in FileKind.allCases {
      let input = StreamInput(ArraySource(kind.magic + [0, 0]))
      #expect(try FileKind(detecting: input) == kind)
      #expect(input.offset == 0)
      let cut = StreamInput(ArraySource(kind.magic.dropLast()))
      #expect(try FileKind(detecting: cut) == nil)
    }
    #expect(try FileKind(detecting: StreamInput(ArraySource([]))) == nil)
    #expect(try FileKind(detecting: StreamInput(ArraySource([0x33, 0x22]))) == nil)
  }
}
