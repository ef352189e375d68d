import Errors
import Guest
import TestSupport
import Testing

/// No private page of a QEMU stream leaves in the clear, whichever way its memory lies.
@Suite struct PlacementTests {
  private let shop: Workshop

  init() throws {
    shop = try Workshop()
    try shop.prepare("there")
    try shop.must("guest", "create -o @other --memory 64K")
  }

  private static let firmware: [(name: String, size: UInt64)] = [
    ("/rom@etc/acpi/tables", 8), ("pc.bios", 8), ("pc.rom", 4), ("0000:00:02.0/vga.vram", 32),
  ]
  private static let hole: UInt64 = 4 << 20

  /// Guests whose memory can be placed.
  static let placed: [MarkedGuest] = [
    .init(
      description: "one block", blocks: [("pc.ram", 64)] + firmware, cmos: (64, 0),
      memory: [.init("pc.ram", at: 0, 64)]),
    .init(
      description: "one block on both sides of the hole", blocks: [("pc.ram", 192)] + firmware,
      cmos: (128, 64),
      memory: [.init("pc.ram", at: 0, 128), .init("pc.ram", 128, at: hole, 64)]),
    .init(
      description: "two nodes, the second larger",
      blocks: [("ram-node1", 64), ("ram-node0", 32)] + firmware, cmos: (96, 0),
      memory: [.init("ram-node0", at: 0, 32), .init("ram-node1", at: 32, 64)]),
    .init(
      description: "three nodes, the second cut at the hole",
      blocks: [("ram-node0", 32), ("ram-node1", 96), ("ram-node2", 64)] + firmware, cmos: (64, 128),
      memory: [
        .init("ram-node0", at: 0, 32), .init("ram-node1", at: 32, 32),
        .init("ram-node1", 32, at: hole, 64), .init("ram-node2", at: hole + 64, 64),
      ]),
    .init(
      description: "a backend smaller than video memory",
      blocks: [("0000:00:02.0/vga.vram", 64), ("mem0", 32)], cmos: (32, 0),
      memory: [.init("mem0", at: 0, 32)]),
    .init(
      description: "backends of nodes by order", blocks: [("m0", 32), ("m1", 64)] + firmware,
      cmos: (96, 0), memory: [.init("m1", at: 0, 64), .init("m0", at: 64, 32)],
      options: "--ram m1 --ram m0"),
    .init(
      description: "a DIMM larger than main memory", machine: "pc-i440fx-7.2",
      blocks: [("m1", 128), ("pc.ram", 32)] + firmware, cmos: (32, 0),
      memory: [.init("pc.ram", at: 0, 32), .init("m1", at: hole, 128)],
      options: "--ram m1@4G"),
    .init(
      description: "a node and two DIMMs",
      blocks: [("memdimm0", 64), ("ram-node0", 64), ("memdimm1", 32)] + firmware, cmos: (64, 0),
      memory: [
        .init("ram-node0", at: 0, 64), .init("memdimm0", at: hole, 64),
        .init("memdimm1", at: hole + 64, 32),
      ], options: "--ram memdimm0@0x100000000 --ram memdimm1@0x100010000"),
    .init(
      description: "virtio-mem whose section tells",
      blocks: [("0000:00:03.0/memvirtiomem0", 64), ("ram-node0", 32)] + firmware, cmos: (32, 0),
      devices: [("0000:00:03.0", hole, 64)],
      memory: [
        .init("ram-node0", at: 0, 32), .init("0000:00:03.0/memvirtiomem0", at: hole, 64),
      ]),
    .init(
      description: "memory that is shared with another machine",
      blocks: [("shmem", 64), ("pc.ram", 32)] + firmware, cmos: (32, 0),
      memory: [.init("pc.ram", at: 0, 32)], options: "--not-ram shmem"),
    .init(
      description: "no CMOS", machine: "microvm", blocks: [("microvm.ram", 64), ("pc.bios", 8)],
      memory: [.init("microvm.ram", at: 0, 64)]),
  ]

  /// The same and others without what must be told.
  static let unplaced: [MarkedGuest] =
    placed.filter { !$0.options.isEmpty }.map { guest in
      var guest = guest
      guest.options = ""
      return guest
    } + [
      .init(
        description: "a node is missing", blocks: [("ram-node1", 64)] + firmware, cmos: (96, 0),
        memory: []),
      .init(
        description: "a backend and a DIMM, of which one fits", blocks: [("m1", 64), ("mem0", 32)],
        cmos: (32, 0), memory: []),
      .init(
        description: "virtio-mem without address",
        blocks: [("0000:00:03.0/m0", 64), ("pc.ram", 32)], cmos: (32, 0), memory: []),
      .init(
        description: "main memory left out", blocks: [("pc.ram", 64), ("m1", 32)], cmos: (64, 0),
        memory: [], options: "--ram m1 --not-ram pc.ram"),
      .init(
        description: "a CMOS that counts less", blocks: [("pc.ram", 64)], cmos: (32, 0), memory: []),
    ]

  private func save(_ guest: MarkedGuest, _ isPrivate: String) throws -> Program.Outcome {
    try shop.write("plain", guest.stream)
    return try shop.run(
      "save",
      "@plain \(guest.options) --private \(isPrivate) --vmsa @other/vcpu-0.vmsa -o @snp --force "
        + "--to @there.offer --trust @root.pem")
  }

  /// Pages of ranges as text are private, all others can be read: of memory none too many, and of
  /// devices all, which shows that a mark would be found.
  private func check(_ guest: MarkedGuest, _ isPrivate: String) throws {
    let outcome = try save(guest, isPrivate)
    try #require(outcome.status == 0, "\(outcome.errors)")
    let ranges = try GPARangeSet(parsing: isPrivate)
    for (page, isVisible) in guest.visible(in: try shop.read("snp")) {
      let words = page.split(separator: " ")
      let gpa = guest.gpa(String(words[0]), try #require(UInt64(words[1])))
      let isHidden = gpa.map { ranges.contains($0 << 10) } ?? false
      #expect(isVisible != isHidden, "\(page) KiB, private \(isPrivate)")
    }
    // What is shared is said, block by block.
    let line = outcome.errors.split(separator: "\n").first { $0.contains(": shared memory: ") }
    for block in guest.blocks where !ranges.isEmpty {
      let hidden = stride(from: 0, to: block.size, by: 4).count {
        guest.gpa(block.name, $0).map { ranges.contains($0 << 10) } ?? false
      }
      let shared = block.size - UInt64(hidden) * 4
      #expect(
        line?.contains("\(block.name) ") ?? false == (shared > 0)
          && (shared == 0 || line?.contains("\(block.name) \(shared) KiB") == true),
        "\(block.name): \(line ?? "")")
    }
  }

  @Test(arguments: placed) func noPrivatePageLeavesInTheClear(guest: MarkedGuest) throws {
    let pieces = guest.memory.map { "\($0.gpa)K+\($0.size)K" }
    let selections =
      ["all", "none", pieces.joined(separator: ",")] + pieces + ["0x4000+8K"]
    for isPrivate in Set(selections) { try check(guest, isPrivate) }
    try shop.remove("snp")
    for beyond in ["\(guest.memory.last!.gpa + guest.memory.last!.size)K+4K", "0x4000+4K,1T+4K"] {
      try save(guest, beyond).requireRefusal(.guestMap)
      #expect(!shop.exists("snp"))
    }
  }

  @Test(arguments: unplaced) func whatCannotBePlacedIsRefused(guest: MarkedGuest) throws {
    for isPrivate in ["all", "none", "0x0+4K"] {
      try save(guest, isPrivate).requireRefusal(.guestMap)
      #expect(!shop.exists("snp"))
    }
    try shop.run(
      "guest",
      "import @plain \(guest.options) --private all --vmsa @other/vcpu-0.vmsa -o @guest"
    ).requireRefusal(.guestMap)
    #expect(!shop.exists("guest"))
  }

  @Test(arguments: placed) func memoryIsExportedAtItsAddress(guest: MarkedGuest) throws {
    try shop.write("plain", guest.stream)
    try shop.must(
      "guest", "import @plain \(guest.options) --vmsa @other/vcpu-0.vmsa -o @guest")
    try shop.must("guest", "export @guest -o @core --format elf")
    let core = try shop.read("core")
    for piece in guest.memory {
      let index = try #require(guest.blocks.firstIndex { $0.name == piece.block })
      let bytes = try shop.read("guest/ram-\(index).bin")
      let part = bytes[Int(piece.offset << 10)..<Int((piece.offset + piece.size) << 10)]
      try shop.must(
        "guest", "export @guest -o @range --force --range \(piece.gpa)K+\(piece.size)K")
      #expect(try shop.read("range") == Array(part))
      #expect(core.firstRange(of: part) != nil)
    }
    // The segments of the core, behind that of its notes: 56 bytes each.
    let addresses = guest.memory.indices.map { index in
      core[(64 + 56 * (index + 1) + 24)..<(64 + 56 * (index + 1) + 32)].reversed()
        .reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    }
    #expect(addresses == guest.memory.map { $0.gpa << 10 })
  }

  @Test func otherMemoryIsNotInARawImage() throws {
    let guest = Self.placed[2]
    try shop.write("plain", guest.stream)
    try shop.must("guest", "import @plain --vmsa @other/vcpu-0.vmsa -o @guest")
    let run = try shop.must("guest", "export @guest -o @ram")
    #expect(run.errors.contains("not in it: ram-node1"))
    #expect(try shop.read("ram") == shop.read("guest/ram-1.bin"))
  }

  // MARK: What QEMU wrote

  @Test func theNodesOfARealGuestArePrivate() throws {
    try shop.write("plain", Fixture.read("qemu/q35-72-numa/stream.xz"))
    let text = Array("TOP-SECRET-OF-NODE0".utf8)
    #expect(try shop.read("plain").firstRange(of: text) != nil)
    try shop.must("guest", "import @plain -o @guest --private all")
    try shop.must("guest", "export @guest -o @text --range 0x1000000+19")
    #expect(try shop.read("text") == text)
    try shop.must("save", "@guest -o @snp --to @there.offer --trust @root.pem")
    #expect(try shop.read("snp").firstRange(of: text) == nil)
  }

  @Test func aRealGuestIsCutWhereItsCMOSSays() throws {
    try shop.write("plain", Fixture.read("qemu/q35-72-below4g/stream.xz"))
    try shop.must("guest", "import @plain -o @guest --private all")
    let guest = try GuestReader(bundle: shop["guest"]).description
    #expect(guest.attributes.description == "0x0-0xffffff,0x100000000-0x101ffffff")
    try shop.run("guest", "import @plain -o @other2 --below-4g 32M").requireRefusal(.guestMap)
  }

  // MARK: Other inputs

  @Test(arguments: ["64K+4K", "0x0+1T"])
  func aPrivateRangeOfAnImageHasMemory(isPrivate: String) throws {
    try shop.write("image", [UInt8](repeating: 7, count: 64 << 10))
    try shop.run("guest", "import @image -o @guest --private \(isPrivate)")
      .requireRefusal(.guestMap)
    try shop.run(
      "save", "@image -o @snp --to @there.offer --trust @root.pem --private \(isPrivate)"
    ).requireRefusal(.guestMap)
  }

  @Test(arguments: ["--ram pc.ram", "--not-ram pc.rom"])
  func onlyStreamsHaveBlocksToPlace(option: String) throws {
    try shop.write("image", [UInt8](repeating: 7, count: 64 << 10))
    for input in ["@image", "@other"] {
      let run = try shop.run(
        "save", "\(input) -o @snp --to @there.offer --trust @root.pem \(option)")
      #expect(run.status == 64)
    }
    #expect(try shop.run("guest", "import @image -o @guest \(option)").status == 64)
  }
}
