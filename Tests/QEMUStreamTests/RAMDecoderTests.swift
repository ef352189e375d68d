import Errors
import QEMUStream
import Testing
import Wire

@Suite struct RAMDecoderTests {
  private let blocks = [
    RAMBlock(name: "pc.ram", length: 0x4000), RAMBlock(name: "pc.bios", length: 0x1000),
  ]

  /// A body that begins with the list of `blocks`.
  private func body(_ rest: [UInt8]) -> [UInt8] {
    var bytes: [UInt8] = []
    RAMEncoder(blocks: blocks).appendBlockList(to: &bytes)
    return bytes + rest
  }

  private func records(_ bytes: [UInt8]) throws(MigrationError) -> [RAMRecord] {
    let input = StreamInput(ArraySource(bytes, pieceSize: 7), capacity: 4096)
    var decoder = RAMDecoder()
    var records: [RAMRecord] = []
    while records.last != .end { records.append(try decoder.next(from: input)) }
    return records
  }

  private func word(_ value: UInt64, _ rest: [UInt8] = []) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(bigEndian: value)
    return bytes + rest
  }

  private func name(_ name: SectionName) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(name: name)
    return bytes
  }

  @Test func everyKindOfRecordIsRead() throws {
    let page = [UInt8](repeating: 0xA5, count: 4096)
    var bytes = word(0x0002, name("pc.ram") + [0])
    bytes += word(0x1028, page)
    bytes += word(0x0008, name("pc.bios") + page)
    bytes += word(0x2040, name("pc.ram") + [1, 0, 3, 9, 9, 9])
    bytes += word(0x3120, [0, 0, 0, 2, 0x78, 1])
    bytes += word(0x200) + word(0x10)
    #expect(
      try records(body(bytes)) == [
        .blockList, .zero(RAMPage(block: 0, offset: 0)), .page(RAMPage(block: 0, offset: 0x1000)),
        .page(RAMPage(block: 1, offset: 0)), .xbzrle(RAMPage(block: 0, offset: 0x2000), length: 3),
        .compressed(RAMPage(block: 0, offset: 0x3000), length: 2), .multifdFlush, .end,
      ])
  }

  /// What else entries hold is told by other parts of the stream: addresses by x-ignore-shared, page
  /// sizes by postcopy-advise, and those only where they are not the usual ones.
  @Test(arguments: [false, true], [0x1000, 0x20_1000] as [UInt64])
  func entriesWithMoreInThemAreRead(addresses: Bool, pageSizes: UInt64) throws {
    var bytes = word(0x40_3000 | RAMFlags.memorySize)
    for (block, length, size) in [
      ("a", 0x1000, nil), ("huge", 0x40_0000, 0x20_0000), ("z", 0x2000, nil),
    ] as [(SectionName, UInt64, UInt64?)] {
      bytes += name(block) + word(length)
      if pageSizes > 0x1000, let size { bytes += word(size) }
      if addresses { bytes += word(0) }
    }
    let input = StreamInput(ArraySource(bytes + word(RAMFlags.end)), capacity: 4096)
    var decoder = RAMDecoder()
    decoder.listForm.hasAddresses = addresses
    decoder.listForm.pageSizes = pageSizes
    #expect(try decoder.next(from: input) == .blockList)
    #expect(decoder.blocks.map(\.length) == [0x1000, 0x40_0000, 0x2000])
    #expect(try decoder.next(from: input) == .end)
  }

  @Test func theEncoderNamesABlockOnlyWhereItChanges() throws {
    var encoder = RAMEncoder(blocks: blocks)
    var bytes: [UInt8] = []
    encoder.appendBlockList(to: &bytes)
    let list = bytes.count
    encoder.append(RAMPage(block: 0, offset: 0x1000), to: &bytes)
    encoder.append(RAMPage(block: 0, offset: 0x2000), to: &bytes)
    encoder.append(
      RAMPage(block: 1, offset: 0), [UInt8](repeating: 1, count: 4096), to: &bytes)
    encoder.appendEnd(to: &bytes)
    let expected =
      word(0x1002, name("pc.ram") + [0]) + word(0x2022, [0]) + word(0x0008, name("pc.bios"))
    #expect(Array(bytes[list..<list + expected.count]) == expected)
    #expect(try records(bytes).compactMap(\.page?.block) == [0, 0, 1])
  }

  /// Bytes after the block list, the code, and the offset of the refused byte after the list.
  @Test(arguments: [
    ([0, 0, 0, 0, 0, 0, 0, 0x22, 0], ErrorCode.ramBlock, 0),  // continue on the first page
    ([0, 0, 0, 0, 0, 0, 0, 0x02, 0], .ramBlock, 8),  // empty name
    ([0, 0, 0, 0, 0, 0, 0, 0x02, 1, 0x78, 0], .ramBlock, 8),  // unknown name
    ([0, 0, 0, 0, 0, 0, 0x40, 0x02, 6, 0x70, 0x63, 0x2E, 0x72, 0x61, 0x6D, 0], .ramOffset, 0),
    ([0xFF, 0, 0, 0, 0, 0, 0, 0x02, 6, 0x70, 0x63, 0x2E, 0x72, 0x61, 0x6D, 0], .ramOffset, 0),
    ([0, 0, 0, 0, 0, 0, 0, 0x02, 6, 0x70, 0x63, 0x2E, 0x72, 0x61, 0x6D, 0xAA], .ramData, 15),
    ([0, 0, 0, 0, 0, 0, 0, 0x40, 6, 0x70, 0x63, 0x2E, 0x72, 0x61, 0x6D, 2, 0, 1], .ramData, 15),
    ([0, 0, 0, 0, 0, 0, 0, 0x40, 6, 0x70, 0x63, 0x2E, 0x72, 0x61, 0x6D, 1, 0, 0], .ramData, 15),
    ([0, 0, 0, 0, 0, 0, 0, 0x40, 6, 0x70, 0x63, 0x2E, 0x72, 0x61, 0x6D, 1, 0x10, 1], .ramData, 15),
    (
      [0, 0, 0, 0, 0, 0, 1, 0, 6, 0x70, 0x63, 0x2E, 0x72, 0x61, 0x6D, 0xFF, 0xFF, 0xFF, 0xFF],
      .ramData, 15
    ),
    ([0, 0, 0, 0, 0, 0, 0, 0x01], .ramFlags, 0), ([0, 0, 0, 0, 0, 0, 0, 0], .ramFlags, 0),
    ([0, 0, 0, 0, 0, 0, 0, 0x0A], .ramFlags, 0), ([0, 0, 0, 0, 0, 0, 0, 0x80], .ramFlags, 0),
    ([0, 0, 0, 0, 0, 0, 0, 0x30], .ramFlags, 0), ([0, 0, 0, 0, 0, 0, 0x10, 0x10], .ramFlags, 0),
    ([0, 0, 0, 0, 0, 0, 4, 0], .ramFlags, 0), ([0, 0, 0, 0, 0, 0, 0x12, 0], .ramFlags, 0),
    ([0, 0, 0, 0, 0, 0, 0x10, 0x04], .ramList, 0),  // second list
  ])
  func aWrongRecordIsRefusedAtItsByte(rest: [UInt8], code: ErrorCode, place: Int) {
    let list = body([]).count
    let refusal = #expect(throws: MigrationError.self) { try records(body(rest)) }
    #expect(refusal?.code == code)
    #expect(refusal?.offset == UInt64(list + place))
  }

  @Test(arguments: [
    [RAMBlock(name: "a", length: 0x1000), RAMBlock(name: "a", length: 0x1000)],
    [RAMBlock(name: "a", length: 0x1000), RAMBlock(name: "b", length: 0)],
    [RAMBlock(name: "a", length: 0x0800), RAMBlock(name: "b", length: 0x1800)],
    [RAMBlock(name: "a", length: 0xFFFF_FFFF_FFFF_F000), RAMBlock(name: "b", length: 0x3000)],
  ])
  func aWrongBlockListIsRefused(blocks: [RAMBlock]) {
    var bytes: [UInt8] = []
    RAMEncoder(blocks: blocks).appendBlockList(to: &bytes)
    // A block of no bytes ends QEMU's list if it is last; one more word keeps the reader there.
    if blocks[1].length == 0 { bytes[6] = 0x20 }
    let refusal = #expect(throws: MigrationError.self) { try records(bytes + word(0x10)) }
    #expect(refusal?.code == .ramList)
  }

  @Test func aListWithAnEmptyNameOrTooManyBlocksIsRefused() {
    let empty = word(0x1004, [0] + word(0x1000))
    let refusal = #expect(throws: MigrationError.self) { try records(empty) }
    #expect(refusal?.code == .ramList)
    let input = StreamInput(ArraySource(body([])), capacity: 4096)
    var decoder = RAMDecoder(blockLimit: 1)
    let excess = #expect(throws: MigrationError.self) { try decoder.next(from: input) }
    #expect(excess?.code == .ramList)
  }
}
