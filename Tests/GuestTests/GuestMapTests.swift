import Errors
import Guest
import Testing
import Wire

@Suite struct GuestMapTests {
  let blocks: [RAMBlock]

  init() throws {
    blocks = [try RAMBlock(name: "pc.ram", size: 0x10000), try RAMBlock(name: "b", size: 0x4000)]
  }

  private func range(_ block: Int, _ offset: UInt64, _ gpa: UInt64, _ size: UInt64) -> MappedRange {
    MappedRange(block: block, offset: offset, gpa: gpa, size: size)
  }

  private func example() throws -> GuestMap {
    try GuestMap(
      [
        range(0, 0x8000, 0x1000, 0x4000), range(1, 0, 0x5000, 0x4000),
        range(0, 0, 0x1_0000_0000, 0x8000),
      ], blocks: blocks)
  }

  @Test func everyPageIsFoundBothWays() throws {
    let map = try example()
    for mapped in map.ranges {
      for into in stride(from: UInt64(0), to: mapped.size, by: 0x1000) {
        let place = try #require(map.locate(mapped.gpa + into))
        #expect(place == (mapped.block, mapped.offset + into, mapped.size - into))
        #expect(map.gpa(block: place.block, offset: place.offset) == mapped.gpa + into)
      }
    }
  }

  /// Rows: addresses beside the ranges of the example.
  @Test(arguments: [0, 0xfff, 0x9000, 0xffff_ffff, 0x1_0000_8000, .max] as [UInt64])
  func noMemoryIsFoundInAHole(gpa: UInt64) throws {
    #expect(try example().locate(gpa) == nil)
  }

  @Test(arguments: [(0, UInt64(0xc000)), (0, .max), (1, 0x4000), (2, 0), (-1, 0)])
  func whatIsNotMappedHasNoAddress(block: Int, offset: UInt64) throws {
    #expect(try example().gpa(block: block, offset: offset) == nil)
  }

  @Test func theLastByteOfARangeIsFound() throws {
    #expect(try #require(try example().locate(0x4fff)) == (0, 0xbfff, 1))
  }

  /// Rows: block, offset, address and size of ranges that make no map.
  @Test(
    arguments: [
      ("twice at one address", [(0, 0, 0x1000, 0x2000), (1, 0, 0x2000, 0x1000)]),
      ("out of order", [(0, 0, 0x4000, 0x1000), (1, 0, 0x2000, 0x1000)]),
      ("one place at two addresses", [(0, 0, 0x1000, 0x2000), (0, 0x1000, 0x8000, 0x1000)]),
      (
        "one place twice, far apart",
        [(0, 0x2000, 0x1000, 0x1000), (1, 0, 0x3000, 0x1000), (0, 0, 0x8000, 0x3000)]
      ),
      ("empty", [(0, 0, 0x1000, 0)]),
      ("size not in pages", [(0, 0, 0x1000, 0x800)]),
      ("offset not in pages", [(0, 0x10, 0x1000, 0x1000)]),
      ("address not in pages", [(0, 0, 0x1010, 0x1000)]),
      ("no such block", [(2, 0, 0x1000, 0x1000)]),
      ("out of its block", [(1, 0x4000, 0x1000, 0x1000)]),
      ("longer than its block", [(1, 0, 0x1000, 0x5000)]),
      ("offset that overflows", [(1, .max - 0xfff, 0x1000, 0x1000)]),
      ("size that overflows", [(1, 0x1000, 0x1000, .max - 0xfff)]),
      ("beyond the address limit", [(1, 0, 1 << 52, 0x1000)]),
      ("across the address limit", [(1, 0, (1 << 52) - 0x1000, 0x2000)]),
      ("address that overflows", [(1, 0, .max - 0xfff, 0x1000)]),
    ] as [(String, [(Int, UInt64, UInt64, UInt64)])])
  func whatIsNoMapIsRefused(why: String, rows: [(Int, UInt64, UInt64, UInt64)]) {
    let error = #expect(throws: MigrationError.self) {
      try GuestMap(rows.map { range($0, $1, $2, $3) }, blocks: blocks)
    }
    #expect(error?.code == .guestMap)
  }

  @Test func theLastPageBelowTheLimitMayBeMapped() throws {
    let map = try GuestMap([range(1, 0, (1 << 52) - 0x1000, 0x1000)], blocks: blocks)
    #expect(map.addresses.description == "0xffffffffff000-0xfffffffffffff")
  }

  @Test func tooManyRangesAreRefused() throws {
    let size = UInt64(GuestMap.maximumCount + 1) * 0x1000
    let block = try RAMBlock(name: "big", size: size)
    let ranges = stride(from: UInt64(0), to: size, by: 0x1000).map { range(0, $0, $0, 0x1000) }
    #expect(throws: MigrationError.self) { try GuestMap(ranges, blocks: [block]) }
    #expect(try GuestMap(ranges.dropLast(), blocks: [block]).ranges.count == 4096)
  }

  @Test func aMapSurvivesTheWire() throws {
    let map = try example()
    let bytes = map.encoded
    #expect(
      bytes.count == GuestMap.Header.size + map.ranges.count * GuestMap.Entry.size)
    #expect(
      Hex.encode(bytes.prefix(40))
        == "0000000300000000" + "0000000000000000" + "0000000000008000"
        + "0000000000001000" + "0000000000004000")
    var cursor = ByteCursor(bytes.span)
    #expect(try GuestMap(from: &cursor, blocks: blocks) == map)
    #expect(cursor.remaining == 0)
  }

  @Test(arguments: 0..<104) func aCutMapIsRefused(length: Int) throws {
    let bytes = Array(try example().encoded.prefix(length))
    let error = #expect(throws: MigrationError.self) {
      var cursor = ByteCursor(bytes.span)
      _ = try GuestMap(from: &cursor, blocks: blocks)
    }
    #expect(error?.code == .streamTruncated)
  }

  /// Rows: a byte of the encoded example, its new value, and the offset that must be named.
  @Test(arguments: [
    (byte: 0, value: UInt8(1), offset: UInt64(100)), (2, 0x10, 100), (7, 1, 100), (15, 1, 112),
    (11, 5, 108), (23, 1, 108), (56, 0xff, 140),
  ])
  func aDamagedMapIsRefusedAtItsEntry(byte: Int, value: UInt8, offset: UInt64) throws {
    var bytes = try example().encoded
    bytes[byte] = value
    let error = #expect(throws: MigrationError.self) {
      var cursor = ByteCursor(bytes.span, at: 100)
      _ = try GuestMap(from: &cursor, blocks: blocks)
    }
    #expect(error?.code == .guestMap)
    #expect(error?.offset == offset)
  }

  @Test(arguments: [0, 256]) func aBlockNameHasALength(length: Int) throws {
    let name = String(repeating: "n", count: length)
    #expect(throws: MigrationError.self) { try RAMBlock(name: name, size: 0x1000) }
  }

  @Test(arguments: [0, 1, 0x1001, (1 << 52) + 0x1000, .max] as [UInt64])
  func aBlockIsInWholePages(size: UInt64) {
    #expect(throws: MigrationError.self) { try RAMBlock(name: "n", size: size) }
  }

  /// Rows after QEMU's hw/i386: size in MiB and what lies below and above 4 GiB.
  @Test(arguments: [
    ("pc-q35-10.0", UInt64(2815), UInt64(2815), UInt64(0)), ("q35", 2816, 2048, 768),
    ("q35", 65536, 2048, 63488), ("pc-i440fx-7.2", 3583, 3583, 0),
    ("pc-i440fx-10.0", 3584, 3072, 512), ("pc", 8192, 3072, 5120), ("microvm", 3072, 3072, 0),
    ("microvm", 3073, 3072, 1), ("pc-q35-2.0.1", 2816, 2048, 768),
    ("pc-q35-1.7", 4096, 2816, 1280), ("pc-i440fx-1.7", 4096, 3584, 512),
    ("isapc", 4096, 3584, 512), ("none", 8192, 8192, 0), ("pc-q35-rhel9.2.0", 4096, 2048, 2048),
    ("pc-i440fx-jammy", 4096, 3072, 1024),
  ])
  func aMachineSplitsItsMemoryAtTheHole(
    machine: String, size: UInt64, below: UInt64, above: UInt64
  ) throws {
    let ranges = try GuestLayout.ranges(machine: machine, size: size << 20)
    #expect(ranges[0] == range(0, 0, 0, below << 20))
    #expect(ranges.count == (above == 0 ? 1 : 2))
    if above > 0 { #expect(ranges[1] == range(0, below << 20, 4 << 30, above << 20)) }
  }

  /// Rows, as the real QEMU 7.2 lays them out: size in MiB, max-ram-below-4g and what lies below.
  @Test(arguments: [
    ("q35", UInt64(4096), UInt64(1024), UInt64(1024)), ("q35", 4096, 3072, 2048),
    ("q35", 2800, 2700, 2700), ("q35", 2800, 4096, 2800), ("pc", 4096, 1000, 1000),
    ("pc", 4096, 4096, 3072), ("pc", 3968, 4096, 3968), ("pc", 3300, 3200, 3072),
    ("pc", 3100, 3200, 3100), ("isapc", 4096, 4000, 4000),
  ])
  func theLimitIsTakenAsTheMachineTakesIt(
    machine: String, size: UInt64, limit: UInt64, below: UInt64
  ) throws {
    let ranges = try GuestLayout.ranges(machine: machine, size: size << 20, below4G: limit << 20)
    #expect(ranges[0].size == below << 20)
    #expect(ranges.reduce(0) { $0 + $1.size } == size << 20)
  }

  /// Rows: size in GiB and where memory above the hole starts, in GiB.
  @Test(arguments: [
    ("pc-q35-7.1", UInt64(978), UInt64(4)), ("pc-q35-7.1", 979, 1024), ("q35", 2048, 1024),
    ("pc-q35-7.0", 979, 4), ("pc-i440fx-10.0", 1009, 4), ("pc-i440fx-10.0", 1010, 1024),
    ("microvm", 2048, 4), ("pc-q35-rhel9.2.0", 978, 4),
  ])
  func memoryKeepsClearOfWhatAMDReserves(machine: String, size: UInt64, start: UInt64) throws {
    let ranges = try GuestLayout.ranges(machine: machine, size: size << 30)
    #expect(ranges.last?.gpa == start << 30)
  }

  @Test(arguments: [
    ("virt", UInt64(1)), ("", 1), ("pc-i440fx-2", 1), ("pc-q35-", 1), ("pc-i440fx-rhel7.0.0", 1),
    ("pc-q35-rhel9.2.0", 979 << 10), ("pc-q35-9.x", 1), ("pc-q35-9.", 1), ("pc-q35--1.0", 1),
  ])
  func anUnknownMachineHasNoLayout(machine: String, size: UInt64) {
    let error = #expect(throws: MigrationError.self) {
      try GuestLayout.ranges(machine: machine, size: size << 20)
    }
    #expect(error?.code == .guestMap)
  }

  @Test func anAbsurdSizeIsNoTrouble() throws {
    #expect(try GuestLayout.ranges(machine: "q35", size: .max & ~4095).count == 2)
  }

  @Test func anUnknownMachineNeedsItsSplit() throws {
    let ranges = try GuestLayout.ranges(machine: "virt", size: 1 << 20, below4G: 0x40000)
    #expect(ranges == [range(0, 0, 0, 0x40000), range(0, 0x40000, 4 << 30, 0xc0000)])
    for below in [0, 0x800, (4 << 30) + 0x1000] as [UInt64] {
      #expect(throws: MigrationError.self) {
        try GuestLayout.ranges(machine: "q35", size: 1 << 20, below4G: below)
      }
    }
  }
}
