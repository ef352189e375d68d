import Errors
import TestSupport
import Testing
import Wire

/// ELF cores whose memory is at virtual addresses (`Formats/export.md`, section 2).
@Suite struct PagingTests {
  private let shop: Workshop

  init() throws { shop = try Workshop() }

  /// A `PT_LOAD`.
  private struct Load {
    var offset: Int
    var virtual: UInt64
    var physical: UInt64
    var size: UInt64
  }

  private func number(_ bytes: [UInt8], _ place: Int, _ size: Int) -> UInt64 {
    bytes[place..<place + size].reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }

  private func loads(_ core: [UInt8]) -> [Load] {
    (0..<Int(number(core, 56, 2))).compactMap { index in
      let header = 64 + 56 * index
      guard number(core, header, 4) == 1 else { return nil }
      return Load(
        offset: Int(number(core, header + 8, 8)), virtual: number(core, header + 16, 8),
        physical: number(core, header + 24, 8), size: number(core, header + 32, 8))
    }
  }

  /// RIP in the first `NT_PRSTATUS`, which is the first note.
  private func instructionPointer(_ core: [UInt8]) -> UInt64 {
    number(core, Int(number(core, 64 + 8, 8)) + 20 + 240, 8)
  }

  @Test("The vCPU's instruction is at its virtual address, and each byte where its page is")
  func memoryHasVirtualAddresses() throws {
    let call = try QEMUCase.named("pc72-tiny").unpack(into: shop)
    try shop.must("guest", "export \(call) --format elf -o @flat")
    try shop.must("guest", "export \(call) --format elf --paging -o @paged")
    let (flat, paged) = (try shop.read("flat"), try shop.read("paged"))
    let rip = instructionPointer(paged)
    #expect(rip == instructionPointer(flat) && rip >> 47 != 0)
    let loads = loads(paged)
    let memory = try #require(self.loads(flat).first)
    #expect(loads.count > 10)
    #expect(zip(loads, loads.dropFirst()).allSatisfy { $0.virtual + $0.size <= $1.virtual })
    #expect(loads.contains { $0.virtual <= rip && rip < $0.virtual + $0.size })
    for load in loads where load.physical + load.size <= memory.size {
      let place = memory.offset + Int(load.physical)
      #expect(
        paged[load.offset..<load.offset + Int(load.size)] == flat[place..<place + Int(load.size)])
    }
    // All memory is in the file, once.
    let size = flat.count - memory.offset
    #expect(paged.suffix(size) == flat.suffix(size))
    try shop.must("guest", "import \(call) -o @guest")
    try shop.must("guest", "export @guest --format elf --paging --cpu 0 -o @again")
    #expect(try shop.read("again") == paged)
  }

  @Test("A vCPU without paging, or that the guest does not have, is refused")
  func whatHasNoPageTablesIsRefused() throws {
    let real = try QEMUCase.named("pc72-bios-reset").unpack(into: shop)
    try shop.run("guest", "export \(real) --format elf --paging -o @core").requireRefusal(.guestMap)
    let call = try QEMUCase.named("pc72-tiny").unpack(into: shop)
    try shop.run("guest", "export \(call) --format elf --paging --cpu 1 -o @core")
      .requireRefusal(.guestMap)
    #expect(try shop.run("guest", "export \(call) --paging -o @core").status == 64)
    #expect(try shop.run("guest", "export \(call) --format elf --cpu 0 -o @core").status == 64)
    #expect(!shop.exists("core"))
  }

  /// Tables of long mode in a guest of 64 KiB, at the address that CR3 of the synthetic vCPU gets.
  private func guest(_ entries: [(table: Int, index: Int, entry: UInt64)]) throws {
    try shop.must("guest", "create -o @guest --memory 64K --private-fraction 0 --force")
    var memory = [UInt8](repeating: 0, count: 65536)
    for (table, index, entry) in entries {
      for byte in 0..<8 {
        memory[table + 8 * index + byte] = UInt8(entry >> UInt64(8 * byte) & 0xFF)
      }
    }
    try shop.write("guest/ram-0.bin", memory)
    var vmsa = try shop.read("guest/vcpu-0.vmsa")
    // EFER, CR4, CR3, CR0 (`Formats/amd-structures.md`).
    for (place, value) in [(0xD0, 0x1D00), (0x148, 0x20), (0x150, 0x1000), (0x158, 0x8000_0001)]
      as [(Int, UInt64)]
    {
      for byte in 0..<8 { vmsa[place + byte] = UInt8(value >> UInt64(8 * byte) & 0xFF) }
    }
    try shop.write("guest/vcpu-0.vmsa", vmsa)
  }

  @Test(
    "Pages of all sizes are found, with the C-bit set, and high addresses repeat their highest bit")
  func allSizesAreMapped() throws {
    try guest([
      (0x1000, 0, 0x2003), (0x2000, 0, 0x3003), (0x3000, 0, 0x4003),
      (0x4000, 2, 0x5003 | 1 << 51), (0x4000, 3, 0x6003), (0x4000, 9, 0x7002),
      (0x1000, 511, 0x8003), (0x8000, 511, 0x83),
    ])
    try shop.must("guest", "export @guest --format elf --paging -o @core")
    let loads = loads(try shop.read("core"))
    #expect(loads.map(\.virtual) == [0x2000, 0xFFFF_FFFF_C000_0000])
    #expect(loads.map(\.physical) == [0x5000, 0])
    #expect(loads.map(\.size) == [0x2000, 65536])
  }

  @Test("Tables that lead to themselves end")
  func tablesThatLeadToThemselvesEnd() throws {
    try guest((0..<512).map { (0x1000, $0, 0x1003) })
    let outcome = try shop.run("guest", "export @guest --format elf --paging -o @core")
    outcome.requireRefusal(.guestMap)
    try guest([(0x1000, 256, 0x1003), (0x1000, 0, 0x9999_0000_0003)])
    try shop.must("guest", "export @guest --format elf --paging -o @core")
    #expect(loads(try shop.read("core")).map(\.physical) == [0x1000])
  }

  @Test("Tables that lead to each other end soon, however much memory a guest claims")
  func claimedMemoryAllowsNoMoreTables() throws {
    // Each entry of three tables leads to the next one, those of the last to holes.
    try guest(
      (0..<512).flatMap { [(0x1000, $0, 0x2003), (0x2000, $0, 0x3003), (0x3000, $0, 0x4003)] })
    let size = 64 << 30
    try shop.truncate("guest/ram-0.bin", to: Int64(size))
    var states = try shop.read("guest/page-states.bin")
    let pages = size / 4096
    states.replaceSubrange(8..<16, with: (0..<8).map { UInt8(pages >> (56 - 8 * $0) & 0xFF) })
    try shop.write("guest/page-states.bin", states)
    let manifest = try shop.text("guest/guest.json")
    try shop.write(
      "guest/guest.json",
      manifest.replacing("\"0x10000\"", with: "\"0x\(String(size, radix: 16))\""))
    let outcome = try shop.run("guest", "export @guest --format elf --paging -o @core")
    outcome.requireRefusal(.guestMap)
    #expect(outcome.errors.contains("at most 16400 tables"))
  }

  @Test("A table that is reached 2048 times, as Linux does for its 16-bit stacks, maps each time")
  func aTableIsReachedInManyWays() throws {
    var entries = (0..<512).map { (table: 0x3000, index: $0, entry: UInt64(0x4003)) }
    entries += (0..<4).map { (0x2000, $0, 0x3003) }
    entries += [(0x1000, 0, 0x2003)] + (0..<32).map { (0x4000, 16 * $0, 0x5003) }
    try guest(entries)
    try shop.must("guest", "export @guest --format elf --paging -o @core")
    let core = try shop.read("core")
    // As many program headers as no 16-bit number says: they are counted in the section header.
    #expect(number(core, 56, 2) == 0xFFFF)
    #expect(number(core, Int(number(core, 40, 8)) + 44, 4) == 4 * 512 * 32 + 1)
  }
}
