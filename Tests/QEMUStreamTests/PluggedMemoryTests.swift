import Errors
import QEMUStream
import Testing
import Wire

/// Memory of virtio-mem, of which only what is plugged in is in a stream.
@Suite struct PluggedMemoryTests {
  private let length: UInt64 = 8 << 20
  private let blockSize: UInt64 = 2 << 20

  /// The body of a section, in which the blocks of `bits` are plugged in.
  private func body(_ bits: UInt64, isEarly: Bool, size: UInt64? = nil) -> [UInt8] {
    // What a transport writes has any length, and the description of the device is in it, too.
    var bytes = isEarly ? [] : [UInt8](repeating: 0x5A, count: 77)
    for value: UInt64 in [4 << 30, length, blockSize] { bytes.append(bigEndian: value) }
    bytes.append(bigEndian: UInt32(0))
    let plugged = size ?? UInt64(bits.nonzeroBitCount) * blockSize
    for value in isEarly ? [plugged] : [length, plugged, plugged] { bytes.append(bigEndian: value) }
    bytes.append(bigEndian: bits)
    return isEarly ? bytes : bytes + [UInt8](repeating: 0x5A, count: 33)
  }

  private func section(_ body: [UInt8], isEarly: Bool) throws -> PluggedMemory.Section {
    let name: SectionName = isEarly ? "0:0/virtio-mem-device-early" : "0:0/virtio-mem"
    return try #require(
      PluggedMemory.Section(SectionHeader(.full, id: 1, name: name, version: 1), body: body))
  }

  @Test(
    arguments: [
      (0, [], [0..<4]), (0b1111, [0..<4], []), (0b0101, [0..<1, 2..<3], [1..<2, 3..<4]),
      (0b0110, [1..<3], [0..<1, 3..<4]),
    ] as [(UInt64, [Range<UInt64>], [Range<UInt64>])], [false, true])
  func theBitmapSaysWhatIsPluggedIn(
    row: (bits: UInt64, plugged: [Range<UInt64>], rest: [Range<UInt64>]), isEarly: Bool
  ) throws {
    let found = try section(body(row.bits, isEarly: isEarly), isEarly: isEarly)
    let memory = try #require(PluggedMemory(found, lengths: [length]))
    func bytes(_ blocks: [Range<UInt64>]) -> [Range<UInt64>] {
      blocks.map { $0.lowerBound * blockSize..<$0.upperBound * blockSize }
    }
    #expect(memory.gpa == 4 << 30)
    #expect(memory.plugged == bytes(row.plugged))
    #expect(memory.unplugged == bytes(row.rest))
  }

  @Test func aDeviceOfMoreRangesThanAreKeptSaysNothing() throws {
    let found = try section(body(0b0101, isEarly: true), isEarly: true)
    #expect(PluggedMemory(found, lengths: [length], ranges: 2)?.plugged.count == 2)
    #expect(PluggedMemory(found, lengths: [length], ranges: 1) == nil)
  }

  @Test func aBodyMadeOfRecordsIsNotReadForEachOfThem() throws {
    // At each third word the length and size of a block of 2^20 parts: 2^35 bits if each is counted.
    var bytes: [UInt8] = []
    for _ in 0..<1 << 15 {
      for value: UInt64 in [0, 1 << 32, 4096] { bytes.append(bigEndian: value) }
    }
    #expect(PluggedMemory(try section(bytes, isEarly: false), lengths: [1 << 32]) == nil)
  }

  @Test(arguments: [false, true]) func whatCannotBeSaysNothing(isEarly: Bool) throws {
    let good = try section(body(0b0101, isEarly: isEarly), isEarly: isEarly)
    #expect(PluggedMemory(good, lengths: [length / 2]) == nil)
    let other = try section(body(0b0101, isEarly: isEarly, size: blockSize), isEarly: isEarly)
    #expect(PluggedMemory(other, lengths: [length]) == nil)
    for count in 0..<(isEarly ? 44 : 77 + 60) {
      let cut = try section(Array(good.body.prefix(count)), isEarly: isEarly)
      #expect(PluggedMemory(cut, lengths: [length]) == nil, "\(count)")
    }
    // Two that fit: nobody knows which.
    let twice = try section(good.body + good.body, isEarly: isEarly)
    #expect((PluggedMemory(twice, lengths: [length]) == nil) == !isEarly)
  }

  /// Rows: lengths of the RAM blocks below the device's path, and which of them is its own.
  @Test(
    arguments: [
      ([8], 0), ([4, 8, 16], 1), ([4], nil), ([8, 8], nil), ([8, 4, 8], nil),
    ] as [([UInt64], Int?)], [false, true])
  func aDeviceHasOneRAMBlock(row: (mebibytes: [UInt64], own: Int?), isEarly: Bool) throws {
    var sections = PluggedSections()
    sections.take(try section(body(0b0101, isEarly: isEarly), isEarly: isEarly))
    var blocks: [(name: String, length: UInt64)] = []
    for (index, size) in row.mebibytes.enumerated() {
      blocks.append((name: "0:0/vm\(index)", length: size << 20))
    }
    blocks.append((name: "0:1/vm", length: length))
    let found = sections.memories(of: blocks)
    #expect(found.map(\.block) == Array(row.mebibytes.indices))
    let owners = found.filter { $0.memory != nil }.map(\.block)
    #expect(owners == (row.own.map { [$0] } ?? []))
  }

  /// A stream of such a device, of whose pages those of `came` come, all as zero.
  private func missing(
    plugged bits: UInt64, came: [Range<UInt64>]
  ) throws(MigrationError) -> (pages: UInt64, first: UInt64?) {
    var bytes: [UInt8] = []
    bytes.appendFileHeader()
    bytes.append(SectionHeader(.start, id: 3, name: RAMSection.name, version: RAMSection.version))
    var encoder = RAMEncoder(blocks: [RAMBlock(name: "0:0/vm0", length: length)])
    encoder.appendBlockList(to: &bytes)
    for range in came {
      for page in range {
        encoder.append(RAMPage(block: 0, offset: page * 4096), to: &bytes)
      }
    }
    encoder.appendEnd(to: &bytes)
    bytes.append(StreamGrammar.Footer(id: 3))
    bytes.append(
      SectionHeader(.full, id: 4, name: "0:0/virtio-mem-device-early", version: 1))
    bytes += body(bits, isEarly: true)
    bytes.append(StreamGrammar.Footer(id: 4))
    bytes.appendEOF()
    var reader = QEMUStreamReader(StreamInput(ArraySource(bytes)))
    let assembly = RAMAssembly()
    while true {
      switch try reader.next() {
      case .ram(.blockList):
        try assembly.begin(reader.ram, of: nil, into: nil)
      case .ram(let record):
        try assembly.take(record, from: reader.input, page: reader.ram.page)
      case .section(let header): try assembly.take(header, from: &reader)
      case .end:
        try assembly.finish()
        return (try assembly.missingPages(of: 0), try assembly.firstMissing(of: 0))
      default: break
      }
    }
  }

  /// Rows: blocks that are plugged in, pages that come, how many are missed, and the first of them.
  @Test(
    arguments: [
      (0, [], 0, nil), (0b0010, [512..<1024], 0, nil), (0b0010, [512..<1023], 1, 1023),
      (0b1010, [512..<1024, 1536..<2048], 0, nil), (0b1010, [513..<1024, 1536..<2047], 2, 512),
      // A page of memory that was unplugged since.
      (0b0010, [0..<1024], 0, nil), (0b0011, [0..<1, 700..<1024], 511 + 188, 1),
    ] as [(UInt64, [Range<UInt64>], UInt64, UInt64?)])
  func onlyWhatIsPluggedInIsMissed(
    bits: UInt64, came: [Range<UInt64>], count: UInt64, first: UInt64?
  ) throws {
    let found = try missing(plugged: bits, came: came)
    #expect(found.pages == count)
    #expect(found.first == first.map { $0 * 4096 })
  }
}
