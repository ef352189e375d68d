import Errors
import Guest
import TestSupport
import Testing

/// Where the RAM blocks of a QEMU stream lie.
@Suite struct RAMPlacementTests {
  private func blocks(_ text: String) throws -> [RAMBlock] {
    try text.split(separator: " ").map { word in
      let parts = word.split(separator: "=")
      return try RAMBlock(
        name: String(parts[0]), size: try #require(byteCount(String(parts[1]))))
    }
  }

  /// The ranges of a map as text: "ram-node0+0x0=0x0+0x2000000".
  private func ranges(_ map: GuestMap, _ blocks: [RAMBlock]) -> [String] {
    map.ranges.map {
      "\(blocks[$0.block].name)+\($0.offset >> 20)M=\($0.gpa >> 20)M+\($0.size >> 20)M"
    }
  }

  private func placement(
    _ machine: String, cmos: (below: UInt64, above: UInt64)? = nil, _ words: String = ""
  ) throws -> RAMPlacement {
    var placement = RAMPlacement(machine: machine)
    placement.cmos = cmos.map { CMOSMemory(CMOS.bytes(below: $0.below, above: $0.above).span) }
    for word in words.split(separator: " ") {
      if word.hasPrefix("!") {
        placement.excluded.append(String(word.dropFirst()))
      } else {
        placement.places.append(try #require(RAMPlace(parsing: String(word))))
      }
    }
    return placement
  }

  private static let mebibyte: UInt64 = 1 << 20

  /// Rows: machine, MiB that the CMOS counts below and above 4 GiB, blocks, what is told, the map.
  @Test(
    arguments: [
      ("q35", 96, 0, "pc.ram=96M pc.bios=256K", "", "pc.ram+0M=0M+96M"),
      (
        "q35", 96, 0, "ram-node1=64M ram-node0=32M pc.rom=128K", "",
        "ram-node0+0M=0M+32M ram-node1+0M=32M+64M"
      ),
      ("q35", 96, 0, "/objects/ram-node0=96M", "", "/objects/ram-node0+0M=0M+96M"),
      ("q35", 16, 32, "pc.ram=48M", "", "pc.ram+0M=0M+16M pc.ram+16M=4096M+32M"),
      (
        "pc", 48, 48, "ram-node1=64M ram-node0=32M", "",
        "ram-node0+0M=0M+32M ram-node1+0M=32M+16M ram-node1+16M=4096M+48M"
      ),
      (
        "pc", 32, 64, "ram-node0=32M ram-node1=64M", "",
        "ram-node0+0M=0M+32M ram-node1+0M=4096M+64M"
      ),
      ("pc", 16, 80, "m0=32M m1=64M", "m1 m0", "m1+0M=0M+16M m1+16M=4096M+48M m0+0M=4144M+32M"),
      ("pc", 32, 0, "mem0=32M 0000:00:02.0/vga.vram=64M", "", "mem0+0M=0M+32M"),
      (
        "pc", 32, 0, "m1=128M pc.ram=32M", "m1@0x100000000", "pc.ram+0M=0M+32M m1+0M=4096M+128M"
      ),
      ("pc", 32, 0, "shmem=128M pc.ram=32M", "!shmem", "pc.ram+0M=0M+32M"),
      ("pc", 32, 0, "m1=128M mem0=32M", "mem0 m1@4G", "mem0+0M=0M+32M m1+0M=4096M+128M"),
      ("pc", 32, 0, "m1=128M mem0=32M", "m1@4G", "mem0+0M=0M+32M m1+0M=4096M+128M"),
      ("pc", 1, 0, "m1=128M mem0=32M", "m1@0 mem0@4G", "m1+0M=0M+128M mem0+0M=4096M+32M"),
      (
        "pc-i440fx-7.2", 8, 0, "vga.vram=8M d0=8M", "d0@4G",
        "vga.vram+0M=0M+8M d0+0M=4096M+8M"
      ),
    ] as [(String, UInt64, UInt64, String, String, String)])
  func aMapIsWhatTheStreamAndTheUserSay(
    machine: String, below: UInt64, above: UInt64, text: String, words: String, expected: String
  ) throws {
    let blocks = try blocks(text)
    let map = try placement(machine, cmos: (below << 20, above << 20), words).map(blocks)
    #expect(ranges(map, blocks).joined(separator: " ") == expected)
  }

  /// Rows as above; part of the refusal.
  @Test(
    arguments: [
      (
        "pc", 32, 0, "m1=128M pc.ram=32M", "",
        "<ram> m1@GPA (QEMU plugs the first block in at 0x100"
      ),
      ("pc", 32, 0, "pc.ram=32M 0000:00:02.0/m0=128M", "", "<ram> 0000:00:02.0/m0@GPA"),
      ("pc", 128, 0, "m1=128M mem0=32M", "", "<ram> BLOCK for each"),
      ("pc", 32, 0, "m1=128M mem0=32M", "", "<ram> BLOCK for each"),
      ("pc", 32, 0, "m1=128M mem0=32M", "mem0", "<ram> m1@GPA"),
      ("pc", 96, 0, "ram-node0=32M", "", "size of main memory differs from the machine's CMOS"),
      ("pc", 32, 0, "pc.ram=32M ram-node0=32M", "", "which RAM block is main memory"),
      ("pc", 96, 0, "ram-node0=32M ram-node1=64M", "ram-node1", "machine's CMOS"),
      ("pc", 32, 32, "pc.ram=32M", "", "machine's CMOS"),
      ("pc", 32, 0, "pc.ram=32M", "nothing@1G", "no RAM block has this name"),
      ("pc", 32, 0, "pc.ram=32M", "pc.ram pc.ram", "two options"),
      ("pc", 32, 0, "pc.ram=32M", "pc.ram !pc.ram", "two options"),
      ("pc", 32, 0, "pc.ram=32M", "!pc.ram", "no RAM block is main memory"),
      ("pc-i440fx-7.2", 8, 0, "vga.vram=8M d0=8M", "", "<ram> BLOCK for each"),
      ("pc-i440fx-7.2", 16, 0, "vga.vram=8M m1=8M d0=8M", "m1@8M d0@4G", "machine's CMOS"),
      (
        "pc-i440fx-3.1", 8, 0, "/objects/m0=8M /objects/pc.bios=8M pc.bios=256K", "",
        "<ram> BLOCK for each"
      ),
      ("pc", 8, 0, "m0=8M d0=8M", "d0@4G !m0", "no RAM block is main memory"),
      ("pc", 32, 0, "pc.ram=32M m1=32M", "m1@16M", "overlap"),
      ("pc", 32, 0, "pc.ram=32M m1=32M", "m1@0x100000001", "whole pages"),
      ("pc", 32, 0, "pc.ram=32M x.rom=1M", "", "<notRAM> x.rom"),
    ] as [(String, UInt64, UInt64, String, String, String)])
  func whatCannotBePlacedIsRefused(
    machine: String, below: UInt64, above: UInt64, text: String, words: String, part: String
  ) throws {
    let blocks = try blocks(text)
    let placement = try placement(machine, cmos: (below << 20, above << 20), words)
    let error = #expect(throws: MigrationError.self) { try placement.map(blocks) }
    #expect(error?.code == .guestMap)
    let wording: Wording = "\(error?.what ?? ""), \(error?.expected ?? "")"
    let text = wording.spelled { "<\($0)>" }
    #expect(text.contains(part), "\(text)")
  }

  @Test func aLimitThatTheCMOSContradictsIsRefused() throws {
    let blocks = try blocks("pc.ram=48M")
    var placement = try placement("q35", cmos: (16 << 20, 32 << 20))
    placement.below4G = 24 << 20
    #expect(refusalCode { _ = try placement.map(blocks) } == .guestMap)
    placement.below4G = 16 << 20
    #expect(try ranges(placement.map(blocks), blocks).count == 2)
    // Who says which blocks they are, too, is believed.
    placement.below4G = 24 << 20
    placement.places = [RAMPlace(block: "pc.ram")]
    #expect(
      try ranges(placement.map(blocks), blocks) == ["pc.ram+0M=0M+24M", "pc.ram+24M=4096M+24M"])
  }

  @Test func withoutCMOSTheMachinesRuleHolds() throws {
    let blocks = try blocks("pc.ram=3G")
    let map = try placement("q35").map(blocks)
    #expect(ranges(map, blocks) == ["pc.ram+0M=0M+2048M", "pc.ram+2048M=4096M+1024M"])
    #expect(refusalCode { _ = try placement("virt").map(blocks) } == .guestMap)
    let counted = try placement("virt", cmos: (1 << 30, 2 << 30))
    #expect(refusalCode { _ = try counted.map(blocks) } == .guestMap)
    let known = try placement("q35", cmos: (1 << 30, 2 << 30)).map(blocks)
    #expect(ranges(known, blocks) == ["pc.ram+0M=0M+1024M", "pc.ram+1024M=4096M+2048M"])
  }

  @Test func aDevicesBlockLiesWhereItsSectionSays() throws {
    let blocks = try blocks("0000:00:02.0/m0=128M pc.ram=16M 0000:00:02.0/vga.vram=16M")
    var placement = try placement("pc", cmos: (16 << 20, 0))
    placement.devices = [
      "0000:00:02.0/m0": MemoryDevice(gpa: 4 << 30, plugged: [0..<128 << 20]),
      "0000:00:02.0/vga.vram": MemoryDevice(),
    ]
    // A device of memory has no video memory.
    #expect(refusalCode { _ = try placement.map(blocks) } == .guestMap)
    placement.excluded = ["0000:00:02.0/vga.vram"]
    #expect(
      try ranges(placement.map(blocks), blocks)
        == ["pc.ram+0M=0M+16M", "0000:00:02.0/m0+0M=4096M+128M"])
    placement.places = [RAMPlace(block: "0000:00:02.0/m0", gpa: 5 << 30)]
    #expect(refusalCode { _ = try placement.map(blocks) } == .guestMap)
    placement.places = []
    // Only what is plugged in is there.
    placement.devices = [
      "0000:00:02.0/m0": MemoryDevice(gpa: 4 << 30, plugged: [0..<2 << 20, 64 << 20..<66 << 20])
    ]
    #expect(
      try ranges(placement.map(blocks), blocks) == [
        "pc.ram+0M=0M+16M", "0000:00:02.0/m0+0M=4096M+2M", "0000:00:02.0/m0+64M=4160M+2M",
      ])
    placement.devices = ["0000:00:02.0/m0": MemoryDevice()]
    #expect(refusalCode { _ = try placement.map(blocks) } == .guestMap)
  }

  /// Rows: KiB below the hole and above 4 GiB.
  @Test(
    arguments: [
      (512, 0), (640, 0), (800, 0), (1024, 0), (8200, 0), (16384, 0), (40968, 0), (65536, 0),
      (98304, 0), (3 << 20, 5 << 20), (2 << 20, 1 << 31), (2 << 20, (1 << 30) + (64 << 10)),
      (4 << 20, 0), (4 << 20, 1 << 20), (16384, 32768), (65604, 0),
    ] as [(UInt64, UInt64)])
  func theCMOSTellsWhereMemoryIsCut(below: UInt64, above: UInt64) throws {
    let blocks = [try RAMBlock(name: "pc.ram", size: (below + above) << 10)]
    let map = try placement("q35", cmos: (below << 10, above << 10)).map(blocks)
    #expect(map.ranges[0].size == below << 10)
    #expect(map.ranges.dropFirst().first?.size == (above == 0 ? nil : above << 10))
    // Below 1 MiB the CMOS does not tell one size from another.
    let less = [try RAMBlock(name: "pc.ram", size: (below + above - 64) << 10)]
    let placement = try placement("q35", cmos: (below << 10, above << 10))
    if below > 1100 { #expect(refusalCode { _ = try placement.map(less) } == .guestMap) }
  }

  @Test(arguments: [
    ("pc.ram", BlockRole.main), ("microvm.ram", .main), ("ram", .main), ("ram-node0", .node(0)),
    ("ram-node12", .node(12)), ("/objects/ram-node1", .node(1)), ("ram-node", .backend),
    ("ram-node-1", .backend), ("ram-nodex", .backend), ("ram-node99999999999", .backend),
    ("pc.bios", .device), ("pc.rom", .device), ("vga.vram", .backend),
    ("/objects/pc.bios", .backend), ("/objects/tpm-ppi", .backend),
    ("0000:00:02.0/vga.vram", .device), ("0000:00:01.1:00.0/vga.rom", .device),
    ("0000:00:03.0/e1000.rom", .device), ("e1000.rom", .backend), ("/rom@etc/acpi/tables", .device),
    ("system.flash0", .device), ("tpm-ppi", .device), ("0000:00:02.0/m0", .backend),
    ("memdimm0", .backend), ("/objects/mem0", .backend), ("vga.vram0", .backend), ("/", .backend),
  ])
  func aNameSaysWhatABlockIs(name: String, role: BlockRole) {
    #expect(BlockRole(ofBlock: name, on: "pc-q35-7.2") == role)
  }

  @Test(
    "Video memory has no path where no backend's block has its bare id", arguments: ["2.4", "4.0"])
  func videoMemoryOfOldMachines(version: String) {
    let machine = "pc-i440fx-\(version)"
    #expect(BlockRole(ofBlock: "vga.vram", on: machine) == .device)
    #expect(BlockRole(ofBlock: "/objects/vga.vram", on: machine) == .backend)
  }

  /// Rows: a backend with the name of device memory, its MiB, and the sections of the stream.
  @Test(
    "A backend that has the name of a device's memory is not taken for it",
    arguments: [
      ("isa-bios", 128, []), ("pc.rom", 64, []), ("pc.bios", 64, []), ("tpm-ppi", 16, []),
      ("system.flash1", 8, ["0000:00:02.0/vga"]), ("system.flash1", 128, ["pflash_cfi01"]),
      ("0000:00:05.0/vga.vram", 16, ["0000:00:02.0/vga"]), ("vga.vram", 16, ["e1000"]),
    ] as [(String, UInt64, Set<String>)])
  func aNameAloneMakesNoDevice(name: String, size: UInt64, sections: Set<String>) throws {
    var placement = RAMPlacement(machine: name == "vga.vram" ? "pc-i440fx-3.1" : "pc-q35-7.2")
    placement.sections = sections
    let blocks = [
      try RAMBlock(name: "pc.ram", size: 96 << 20), try RAMBlock(name: name, size: size << 20),
    ]
    #expect(refusalCode { _ = try placement.map(blocks) } == .guestMap)
    placement.excluded = [name]
    #expect(try placement.map(blocks).ranges.count == 1)
  }

  /// Rows: memory of a device, its KiB, and the section of the device.
  @Test(
    "Memory of a device is none of the guest's where its size and its section fit",
    arguments: [
      ("isa-bios", 128, "timer"), ("pc.bios", 256, "timer"),
      ("system.flash0", 3712, "pflash_cfi01"),
      ("0000:00:02.0/vga.vram", 16384, "0000:00:02.0/vga"), ("vga.vram", 16384, "0000:00:02.0/vga"),
      ("0000:00:02.0/vga.vram", 8192, "0000:00:02.0/cirrus_vga"),
      ("0000:00:02.0/qxl.vram", 65536, "0000:00:02.0/qxl"),
    ] as [(String, UInt64, String)])
  func aDeviceKeepsItsMemory(name: String, size: UInt64, section: String) throws {
    var placement = RAMPlacement(machine: name == "vga.vram" ? "pc-i440fx-3.1" : "pc-q35-7.2")
    placement.sections = [section]
    let blocks = [
      try RAMBlock(name: "pc.ram", size: 96 << 20), try RAMBlock(name: name, size: size << 10),
    ]
    #expect(try placement.map(blocks).ranges.count == 1)
  }

  @Test func aPlaceIsReadFromText() {
    #expect(RAMPlace(parsing: "m1") == RAMPlace(block: "m1"))
    #expect(RAMPlace(parsing: "m1@4G") == RAMPlace(block: "m1", gpa: 4 << 30))
    #expect(
      RAMPlace(parsing: "0000:00:02.0/m@0@0x1000") == RAMPlace(block: "0000:00:02.0/m@0", gpa: 4096)
    )
    #expect(RAMPlace(parsing: "/rom@etc/x") == RAMPlace(block: "/rom@etc/x"))
    #expect(RAMPlace(parsing: "m1@much") == RAMPlace(block: "m1@much"))
    #expect(RAMPlace(parsing: "") == nil)
    #expect(RAMPlace(parsing: "@4G") == nil)
  }

  @Test func onlyMemoryIsPrivate() throws {
    let blocks = try blocks("pc.ram=1M")
    let map = try placement("pc").map(blocks)
    #expect(try map.memory(in: .all) == map.addresses)
    #expect(try map.memory(in: GPARangeSet()).isEmpty)
    let part = try GPARangeSet(parsing: "0x1000+4K,0x40000+4K")
    #expect(try map.memory(in: part) == part)
    for text in ["0x100000+4K", "0xff000+8K", "0x1000+4K,4G+4K"] {
      let beyond = try GPARangeSet(parsing: text)
      #expect(refusalCode { _ = try map.memory(in: beyond) } == .guestMap)
    }
  }
}
