import Errors
import QEMUStream
import Testing
import Wire

/// Streams of machines with pages of any size that QEMU builds in.
@Suite struct TargetPageTests {
  /// Memory of one block, in which page `n` of a page size is full of the bytes that `byte(n)` says.
  private final class Memory: RAMStore {
    private(set) var bytes: [[UInt8]] = []

    func begin(_ blocks: [RAMBlock]) {
      bytes = blocks.map { [UInt8](repeating: 0, count: Int($0.length)) }
    }

    func write(block: Int, at offset: UInt64, _ span: Span<UInt8>) throws(MigrationError) {
      for index in span.indices { bytes[block][Int(offset) + index] = span[index] }
    }

    func read(
      block: Int, at offset: UInt64, into buffer: inout MutableSpan<UInt8>
    ) throws(MigrationError) {
      for index in buffer.indices { buffer[index] = bytes[block][Int(offset) + index] }
    }
  }

  private enum Knowledge: CaseIterable {
    case configuration, description, firstRecords
  }

  private static let pages: UInt64 = 6

  private func append(_ word: UInt64, named: Bool, to bytes: inout [UInt8]) {
    bytes.append(bigEndian: named ? word : word | RAMFlags.continue)
    if named { bytes.append(name: "ram") }
  }

  /// A block of six pages: the first as `isZeroFirst` says, then content, zero, content, a delta of that,
  /// and zero pages. `byte` of page n is n + 1.
  private func stream(
    _ page: TargetPage, _ knowledge: Knowledge, isZeroFirst: Bool = false
  ) -> [UInt8] {
    let size = UInt64(page.size)
    var bytes: [UInt8] = []
    bytes.appendFileHeader()
    bytes.append(
      Configuration(
        machine: "board",
        targetPageBits: knowledge == .configuration ? UInt32(page.bits) : nil))
    bytes.append(SectionHeader(.start, id: 3, name: RAMSection.name, version: RAMSection.version))
    bytes.append(bigEndian: Self.pages * size | RAMFlags.memorySize)
    bytes.append(name: "ram")
    bytes.append(bigEndian: Self.pages * size)
    bytes.append(bigEndian: RAMFlags.end)
    bytes.append(StreamGrammar.Footer(id: 3))
    bytes.append(StreamGrammar.PartHeader(.part, id: 3))
    for number in 0..<Self.pages {
      let isZero = number == 0 ? isZeroFirst : number == 2 || number > 3
      append(
        number * size | (isZero ? RAMFlags.zero : RAMFlags.page), named: number == 0, to: &bytes)
      bytes +=
        isZero ? [0] : [UInt8](repeating: UInt8(number) + 1, count: page.size)
    }
    append(3 * size | RAMFlags.xbzrle, named: false, to: &bytes)
    bytes += [1, 0, 3, 1, 1, 0xCC]
    bytes.append(bigEndian: RAMFlags.end)
    bytes.append(StreamGrammar.Footer(id: 3))
    bytes.append(StreamGrammar.PartHeader(.end, id: 3))
    bytes.append(bigEndian: RAMFlags.end)
    bytes.append(StreamGrammar.Footer(id: 3))
    bytes.appendEOF()
    bytes.append(VMDescription(pageSize: size))
    return bytes
  }

  private func read(
    _ bytes: [UInt8], description: VMDescription? = nil, file: (any PositionedSource)? = nil
  ) throws(MigrationError) -> (memory: [[UInt8]], page: TargetPage) {
    var reader = QEMUStreamReader(
      StreamInput(ArraySource(bytes, pieceSize: 1000), capacity: 4096), description: description,
      file: file)
    let (memory, assembly) = (Memory(), RAMAssembly(file: file))
    while true {
      switch try reader.next() {
      case .ram(.blockList):
        memory.begin(reader.ram.blocks)
        try assembly.begin(reader.ram, of: reader.configuration, into: memory)
      case .ram(let record):
        try assembly.take(record, from: reader.input, page: reader.ram.page)
      case .end:
        try assembly.finish()
        try assembly.requireWhole(at: reader.input.offset)
        return (memory.bytes, reader.ram.page)
      default: break
      }
    }
  }

  private func expected(_ page: TargetPage, isZeroFirst: Bool = false) -> [UInt8] {
    var bytes: [UInt8] = []
    for fill: UInt8 in [isZeroFirst ? 0 : 1, 2, 0, 4, 0, 0] {
      bytes += [UInt8](repeating: fill, count: page.size)
    }
    bytes[3 * page.size + 1] = 0xCC
    return bytes
  }

  @Test(arguments: TargetPage.possibleBits, [false, true])
  func memoryIsReadInThePagesOfTheMachine(bits: UInt32, isZeroFirst: Bool) throws {
    let page = try #require(TargetPage(bits: bits))
    for knowledge in Knowledge.allCases {
      let bytes = stream(page, knowledge, isZeroFirst: isZeroFirst)
      let description = VMDescription(pageSize: UInt64(page.size))
      let found = try read(bytes, description: knowledge == .description ? description : nil)
      #expect(found.page == page, "\(knowledge)")
      #expect(found.memory == [expected(page, isZeroFirst: isZeroFirst)], "\(knowledge)")
    }
  }

  @Test(
    "The pages of an x86 machine have 4 KiB, also where the second record is not of the second page",
    arguments: ["pc-i440fx-7.2", "pc-q35-10.0", "pc-q35-rhel9.2.0", "microvm", "isapc"])
  func pagesOfX86AreNotGuessed(machine: String) throws {
    var bytes: [UInt8] = []
    bytes.appendFileHeader()
    bytes.append(Configuration(machine: machine, targetPageBits: nil))
    bytes.append(SectionHeader(.start, id: 3, name: RAMSection.name, version: RAMSection.version))
    bytes.append(bigEndian: 0x6000 | RAMFlags.memorySize)
    bytes.append(name: "ram")
    bytes.append(bigEndian: 0x6000 as UInt64)
    bytes.append(bigEndian: RAMFlags.end)
    bytes.append(StreamGrammar.Footer(id: 3))
    bytes.append(StreamGrammar.PartHeader(.part, id: 3))
    // The pages between them are on a channel.
    for number: UInt64 in [0, 2, 4] {
      append(number << 12 | RAMFlags.zero, named: number == 0, to: &bytes)
      bytes.append(0)
    }
    bytes.append(bigEndian: RAMFlags.end)
    var reader = QEMUStreamReader(StreamInput(ArraySource(bytes)))
    var places: [UInt64] = []
    while places.count < 3 {
      if case .ram(.zero(let place)) = try reader.next() { places.append(place.offset) }
    }
    #expect(places == [0, 0x2000, 0x4000] && reader.ram.page == .x86)
  }

  @Test func aDescriptionOfOtherPagesIsRefused() throws {
    var bytes = stream(try #require(TargetPage(bits: 13)), .configuration)
    let text = Array("\"page_size\": 8192".utf8)
    let place = try #require(bytes.firstRange(of: text))
    bytes[place.upperBound - 4] = UInt8(ascii: "4")
    let refusal = #expect(throws: MigrationError.self) { try read(bytes) }
    #expect(refusal?.code == .vmdescriptionMismatch)
  }

  @Test func pagesThatNoTargetHasAreNone() {
    #expect(TargetPage(bits: 7) == nil && TargetPage(bits: 17) == nil)
    for size: UInt64 in [0, 1, 128, 1000, 4095, 12288, 1 << 17, 1 << 63, .max] {
      #expect(TargetPage(size: size) == nil, "\(size)")
    }
  }

  @Test(arguments: [8, 10, 12, 14, 16] as [UInt32])
  func mappedPagesAreThoseOfTheHeader(bits: UInt32) throws {
    let page = try #require(TargetPage(bits: bits))
    let length = UInt64(page.size) * Self.pages
    var bytes: [UInt8] = []
    bytes.appendFileHeader()
    bytes.append(Configuration(machine: "board", capabilities: ["mapped-ram"]))
    bytes.append(SectionHeader(.start, id: 3, name: RAMSection.name, version: RAMSection.version))
    bytes.append(bigEndian: length | RAMFlags.memorySize)
    bytes.append(name: "ram")
    bytes.append(bigEndian: length)
    bytes.append(bigEndian: UInt32(1))
    bytes.append(bigEndian: UInt64(page.size))
    let place = UInt64(bytes.count) + 16
    let pages = (place + 8 + 65535) & ~65535
    bytes.append(bigEndian: place)
    bytes.append(bigEndian: pages)
    bytes += [0b001010, 0, 0, 0, 0, 0, 0, 0]
    bytes += [UInt8](repeating: 0, count: Int(pages) - bytes.count)
    for number in 0..<UInt8(Self.pages) {
      bytes += [UInt8](repeating: number + 1, count: page.size)
    }
    bytes.append(bigEndian: RAMFlags.end)
    bytes.append(StreamGrammar.Footer(id: 3))
    bytes.appendEOF()
    let found = try read(bytes, file: ArrayFile(bytes))
    #expect(found.page == page)
    let fills: [UInt8] = [0, 2, 0, 4, 0, 0]
    #expect(found.memory == [fills.flatMap { [UInt8](repeating: $0, count: page.size) }])
  }
}
