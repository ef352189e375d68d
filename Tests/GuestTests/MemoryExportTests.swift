import Errors
import FileIO
import Guest
import SEVSNP
import TestSupport
import Testing
import Wire

@Suite struct MemoryExportTests {
  private let scratch: Scratch
  private let guest: GuestReader

  /// 3 MiB in two blocks, three ranges and two holes; two vCPUs.
  init() throws {
    scratch = try Scratch()
    var synthetic = SyntheticGuest(memory: 2 << 20)
    synthetic.vcpus = 2
    synthetic.below4G = 0xc0000
    synthetic.secondBlock = 1 << 20
    try synthetic.create(at: scratch["guest"])
    guest = try GuestReader(bundle: scratch["guest"])
  }

  /// Writes an export to a file and reads it back.
  private func written(_ export: MemoryExport, isSequential: Bool = false) throws -> [UInt8] {
    let output = try OutputFile(scratch["out"], force: true)
    try export.write(to: output, isSequential: isSequential)
    try output.commit()
    let bytes = try scratch.read("out")
    #expect(UInt64(bytes.count) == export.size)
    return bytes
  }

  private func memory(_ gpa: UInt64, _ count: Int) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var span = bytes.mutableSpan
    try guest.read(gpa: gpa, into: &span)
    return bytes
  }

  @Test func aRawImageIsTheMainBlock() throws {
    #expect(try written(.mainBlock(of: guest)) == scratch.read("guest/ram-0.bin"))
  }

  @Test(arguments: [
    "0x0+1", "0xbfff0-0xbffff", "0x12345+0x6789", "0x100000000+1M", "0x1000ffffe+3",
  ])
  func aRangeIsItsBytes(text: String) throws {
    let range = try #require(ByteRange(parsing: text))
    let expected = try memory(range.start, Int(range.size))
    #expect(try written(.memory(range, of: guest)) == expected)
    #expect(try written(.memory(range, of: guest), isSequential: true) == expected)
  }

  @Test(arguments: ["0xbfff0+17", "0xc0000+1", "0x0+8G", "0x1000+0xffffffffe000"])
  func aRangeInAHoleIsRefused(text: String) throws {
    let range = try #require(ByteRange(parsing: text))
    #expect(refusalCode { _ = try MemoryExport.memory(range, of: guest) } == .guestMap)
  }

  @Test(arguments: [
    "", "0", "1+0", "2-1", "+", "1+", "-1", "0x10000000000000+1", "0x0-0x10000000000000",
    "0xfffffffffffff+2", "18446744073709551615+1", "0-18446744073709551615",
  ])
  func whatIsNoRangeIsNone(text: String) { #expect(ByteRange(parsing: text) == nil) }

  @Test func aRangeHasOneMeaningInEachSpelling() {
    #expect(ByteRange(parsing: "4K-8191") == ByteRange(start: 4096, size: 4096))
    #expect(ByteRange(parsing: "0x1000+4k") == ByteRange(start: 4096, size: 4096))
    #expect(ByteRange(parsing: "0+0x10000000000000")?.end == 1 << 52)
  }

  @Test func aCoreHoldsAllMemoryWhereItLies() throws {
    for isSequential in [false, true] {
      let core = Core(try written(.core(of: guest), isSequential: isSequential))
      #expect(core.isCore)
      // Notes first: crash takes the first header for them.
      #expect(core.headers.map(\.type) == [4, 1, 1, 1])
      let loads = core.headers.dropFirst()
      #expect(loads.map(\.physical) == guest.description.map.ranges.map(\.gpa))
      for (load, range) in zip(loads, guest.description.map.ranges) {
        #expect(load.virtual == load.physical)
        #expect(load.fileSize == range.size && load.memorySize == range.size)
        #expect(load.offset % 4096 == 0 && load.alignment == 0)
        let place = Int(load.offset)
        #expect(
          Array(core.bytes[place..<place + Int(range.size)])
            == (try memory(range.gpa, Int(range.size))))
      }
    }
  }

  @Test func aCoreHoldsTheRegistersOfEachVCPU() throws {
    let core = Core(try written(.core(of: guest)))
    let notes = core.notes
    #expect(notes.map(\.name) == ["CORE", "CORE", "QEMU", "QEMU"])
    #expect(notes.map(\.type) == [1, 1, 0, 0])
    #expect(notes.map(\.content.count) == [336, 336, 440, 440])
    for (index, vcpu) in guest.description.vcpus.enumerated() {
      let vmsa = try VMSA(vcpu.vmsa)
      // Linux: pr_pid at 32, struct user_regs_struct at 112 (sys/procfs.h, sys/user.h).
      let status = notes[index].content
      #expect(number(status, 32, 4) == UInt64(index) + 1)
      let registers: [(Int, VMSA.Register)] = [
        (0, \.r15), (1, \.r14), (2, \.r13), (3, \.r12), (4, \.rbp), (5, \.rbx), (6, \.r11),
        (7, \.r10), (8, \.r9), (9, \.r8), (10, \.rax), (11, \.rcx), (12, \.rdx), (13, \.rsi),
        (14, \.rdi), (16, \.rip), (18, \.rflags), (19, \.rsp),
      ]
      for (place, register) in registers {
        #expect(
          number(status, 112 + 8 * place, 8) == vmsa[keyPath: register], "register \(place)")
      }
      let selectors: [(Int, VMSA.SegmentRegister)] = [
        (17, \.cs), (20, \.ss), (23, \.ds), (24, \.es), (25, \.fs), (26, \.gs),
      ]
      for (place, segment) in selectors {
        let selector = vmsa[keyPath: segment].selector.value
        #expect(number(status, 112 + 8 * place, 8) == UInt64(selector))
      }
      #expect(number(status, 112 + 8 * 22, 8) == vmsa.gs.base.value)
      // QEMU: struct QEMUCPUState (target/i386/arch_dump.c).
      let state = notes[2 + index].content
      #expect(number(state, 0, 4) == 1 && number(state, 4, 4) == 440)
      #expect(number(state, 8, 8) == vmsa.rax && number(state, 136, 8) == vmsa.rip)
      // A flat 64-bit code segment, spelled as in the second word of a descriptor.
      #expect(number(state, 152, 4) == 8 && number(state, 156, 4) == 0xFFFF_FFFF)
      #expect(number(state, 160, 4) == 0xA09B00)
      let control = [392, 400, 408, 416, 424].map { number(state, $0, 8) }
      #expect(control == [vmsa.cr0, 0, vmsa.cr2, vmsa.cr3, vmsa.cr4])
      #expect(number(state, 432, 8) == vmsa.kernelGSBase)
    }
  }

  @Test func aCoreOfARangeHoldsWhatOfItIsMapped() throws {
    let range = try #require(ByteRange(parsing: "0xbf001-0x100000fff"))
    let core = Core(try written(.core(range, of: guest)))
    let loads = Array(core.headers.dropFirst())
    #expect(loads.map(\.physical) == [0xbf001, 4 << 30])
    #expect(loads.map(\.fileSize) == [0xfff, 0x1000])
    let place = Int(loads[0].offset)
    #expect(Array(core.bytes[place..<place + 0xfff]) == (try memory(0xbf001, 0xfff)))
    let hole = try #require(ByteRange(parsing: "0xc0000+4096"))
    #expect(refusalCode { _ = try MemoryExport.core(hole, of: guest) } == .guestMap)
  }

  /// Also when the file that memory comes from has none.
  @Test func zeroMemoryBecomesHoles() throws {
    var image = [UInt8](repeating: 0, count: 8 << 20)
    image[5_000_000] = 1
    let reader = try GuestReader(rawImage: scratch.write("image", image))
    for export in [try MemoryExport.mainBlock(of: reader), try .core(of: reader)] {
      let bytes = try written(export)
      #expect(Array(bytes.suffix(8 << 20)) == image)
      let blocks = try #require(Program.run(["stat", "-c", "%b", scratch["out"]]))
      #expect(try #require(Int(blocks.text.split(separator: "\n")[0])) < 64)
    }
  }

  private func number(_ bytes: [UInt8], _ offset: Int, _ size: Int) -> UInt64 {
    bytes[offset..<offset + size].reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }
}

/// A reader of ELF cores that knows nothing of the writer (System V ABI, elf(5)).
private struct Core {
  struct ProgramHeader {
    var type: UInt32
    var offset: UInt64
    var virtual: UInt64
    var physical: UInt64
    var fileSize: UInt64
    var memorySize: UInt64
    var alignment: UInt64
  }

  let bytes: [UInt8]

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  private func number<Value: FixedWidthInteger>(_ offset: Int, _: Value.Type = Value.self) -> Value
  {
    bytes[offset..<offset + Value.bitWidth / 8].reversed().reduce(0) { $0 << 8 | Value($1) }
  }

  /// 64 bits, little-endian, a core of x86-64.
  var isCore: Bool {
    bytes.prefix(7) == [0x7F, 0x45, 0x4C, 0x46, 2, 1, 1]
      && number(16, UInt16.self) == 4 && number(18, UInt16.self) == 62
  }

  var headers: [ProgramHeader] {
    (0..<Int(number(56, UInt16.self))).map { index in
      let start = Int(number(32, UInt64.self)) + index * Int(number(54, UInt16.self))
      return ProgramHeader(
        type: number(start), offset: number(start + 8), virtual: number(start + 16),
        physical: number(start + 24), fileSize: number(start + 32), memorySize: number(start + 40),
        alignment: number(start + 48))
    }
  }

  var notes: [(name: String, type: UInt32, content: [UInt8])] {
    var found: [(String, UInt32, [UInt8])] = []
    for header in headers where header.type == 4 {
      var place = Int(header.offset)
      let end = place + Int(header.fileSize)
      while place < end {
        let (nameSize, size) = (
          Int(number(place, UInt32.self)), Int(number(place + 4, UInt32.self))
        )
        let content = place + 12 + (nameSize + 3) / 4 * 4
        let name = String(decoding: bytes[place + 12..<place + 11 + nameSize], as: UTF8.self)
        found.append((name, number(place + 8), Array(bytes[content..<content + size])))
        place = content + (size + 3) / 4 * 4
      }
    }
    return found
  }
}
