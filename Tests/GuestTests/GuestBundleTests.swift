import Errors
import FileIO
import Guest
import JSON
import SEVSNP
import TestSupport
import Testing

@Suite struct GuestBundleTests {
  let scratch: Scratch

  init() throws { scratch = try Scratch() }

  /// A small guest with everything a guest can have.
  private func example() throws -> GuestDescription {
    let blocks = [
      try RAMBlock(name: "pc.ram", size: 0x8000), try RAMBlock(name: "../ram/é", size: 0x2000),
    ]
    let map = try GuestMap(
      [
        MappedRange(block: 0, offset: 0, gpa: 0, size: 0x6000),
        MappedRange(block: 1, offset: 0, gpa: 0x1_0000_0000, size: 0x2000),
      ], blocks: blocks)
    let states = try PageStateMap(joining: [
      PageRun(gpa: 0, pages: 1, state: .shared),
      PageRun(gpa: 0x1000, pages: 2, state: .validated, permissions: .guestDefault),
      PageRun(gpa: 0x3000, pages: 1, state: .secrets),
      PageRun(gpa: 0x4000, pages: 1, state: .unaccepted),
      PageRun(gpa: 0x5000, pages: 1, state: .shared),
      PageRun(
        gpa: 0x1_0000_0000, pages: 2, state: .validated,
        permissions: VMPLPermissions(rawValue: 0x0f0f_0100)),
    ])
    return GuestDescription(
      machine: "pc-q35-10.0", ramBlocks: blocks, map: map,
      attributes: try GPARangeSet(parsing: "0x1000-0x4fff,0x100000000-0x100001fff"),
      pageStates: states,
      vcpus: [
        try VCPUState(apicID: 7, vmpl: 2, vmsa: [UInt8](repeating: 7, count: 4096)),
        try VCPUState(apicID: .max, vmpl: 1, vmsa: [UInt8](repeating: 8, count: 4096)),
      ],
      services: [
        try ServiceState(kind: .vTPM, version: 3, generation: .max, blob: [1, 2, 3]),
        try ServiceState(
          kind: .init(rawValue: 0x8001), isMandatory: false, version: 0, generation: 0, blob: []),
      ])
  }

  private func write(_ guest: GuestDescription, _ name: String = "guest") throws {
    let writer = try GuestWriter(scratch[name])
    let memory = try writer.begin(blockSizes: guest.ramBlocks.map(\.size))
    for block in guest.ramBlocks.indices {
      try memory.write(
        block: block, at: 0x1000, [UInt8](repeating: UInt8(block + 1), count: 0x800).span)
    }
    try memory.finish(guest)
  }

  /// Runs `change` on the text of a written manifest.
  private func damageManifest(_ change: (String) -> String) throws {
    let text = try scratch.text("guest/guest.json")
    let damaged = change(text)
    #expect(damaged != text, "the row changes nothing")
    try scratch.write("guest/guest.json", damaged)
  }

  @Test func aGuestComesBackAsItWas() throws {
    let guest = try example()
    try write(guest)
    let reader = try GuestReader(bundle: scratch["guest"])
    #expect(reader.description == guest)
    var bytes = [UInt8](repeating: 9, count: 0x1000)
    var span = bytes.mutableSpan
    try reader.read(block: 1, at: 0xf00, into: &span)
    #expect(bytes.prefix(0x100).allSatisfy { $0 == 0 })
    #expect(bytes[0x100..<0x900].allSatisfy { $0 == 2 })
    #expect(bytes.suffix(0x700).allSatisfy { $0 == 0 })
  }

  /// A manifest in one line takes fewer bytes than the lines that a destination writes.
  @Test func aGuestThatNoDestinationCouldWriteIsRefused() throws {
    let pages: UInt64 = 5 << 18
    let blocks = [try RAMBlock(name: "pc.ram", size: pages * 4096)]
    let map = try GuestMap(
      [MappedRange(block: 0, offset: 0, gpa: 0, size: pages * 4096)], blocks: blocks)
    var guest = try example()
    (guest.ramBlocks, guest.map) = (blocks, map)
    try guest.requireManifest()
    guest.attributes = GPARangeSet(
      try stride(from: 0, to: pages, by: 2).map {
        try GPARange(start: $0 * 4096, end: $0 * 4096 + 4096)
      })
    let error = #expect(throws: MigrationError.self) { try guest.requireManifest() }
    #expect(error?.code == .guestShape)
  }

  /// What a destination writes it can read again, up to the last value of a manifest; a range more is
  /// refused before anything is written.
  @Test func aManifestHasAsManyValuesAsAReaderAccepts() throws {
    let pages = UInt64(2 * JSON.valueLimit)
    let blocks = [try RAMBlock(name: "pc.ram", size: pages * 4096)]
    let ranges = try stride(from: 0, to: pages, by: 2).map {
      try GPARange(start: $0 * 4096, end: $0 * 4096 + 4096)
    }
    var guest = try example()
    guest.ramBlocks = blocks
    guest.map = try GuestMap(
      [MappedRange(block: 0, offset: 0, gpa: 0, size: pages * 4096)], blocks: blocks)
    guest.pageStates = try PageStateMap(joining: [PageRun(gpa: 0, pages: pages, state: .shared)])
    let others = try #require(
      (0..<200).first {
        guest.attributes = GPARangeSet(Array(ranges.dropLast($0)))
        return (try? guest.requireManifest()) != nil
      })
    #expect(others > 0)
    try write(guest)
    #expect(try GuestReader(bundle: scratch["guest"]).description == guest)
    let text = Array(try scratch.text("guest/guest.json").utf8)
    #expect((try? JSON(parsing: text)) != nil)
    #expect((try? JSON(parsing: text, valueLimit: JSON.valueLimit - 1)) == nil)
  }

  @Test func memoryIsReadByAddress() throws {
    try write(try example())
    let reader = try GuestReader(bundle: scratch["guest"])
    var bytes = [UInt8](repeating: 9, count: 2)
    var span = bytes.mutableSpan
    try reader.read(gpa: 0x1_0000_17ff, into: &span)
    #expect(bytes == [2, 0])
    let error = #expect(throws: MigrationError.self) {
      var span = bytes.mutableSpan
      try reader.read(gpa: 0x5fff, into: &span)
    }
    #expect(error?.code == .guestMap)
    #expect(throws: MigrationError.self) {
      var span = bytes.mutableSpan
      try reader.read(block: 0, at: 0x7fff, into: &span)
    }
    #expect(throws: MigrationError.self) {
      var span = bytes.mutableSpan
      try reader.read(block: 2, at: 0, into: &span)
    }
  }

  @Test func aBundleHoldsItsOwnNamesOnly() throws {
    try write(try example())
    let names = try scratch.names(in: "guest")
    #expect(
      names == [
        "guest.json", "page-states.bin", "ram-0.bin", "ram-1.bin", "service-0.bin",
        "service-1.bin", "vcpu-0.vmsa", "vcpu-1.vmsa",
      ])
    #expect(names.allSatisfy(GuestBundle.isFileName))
    let files = GuestBundle.files(of: scratch["guest"])
    #expect(files.sorted() == (names + ["machine-state.bin"]).sorted())
    for name in [
      "ram-.bin", "ram-00.bin", "ram-+1.bin", "ram--1.bin", "ram-1.bin~", "ram-1.binx",
      "vcpu-1.bin",
      "x", "", "ram-.bi", "ram-99999999999.bin",
    ] { #expect(!GuestBundle.isFileName(name)) }
  }

  @Test func unfinishedBundlesLeaveNothing() throws {
    let guest = try example()
    do {
      let memory = try GuestWriter(scratch["guest"]).begin(blockSizes: [0x1000])
      let error = #expect(throws: MigrationError.self) { try memory.finish(guest) }
      #expect(error?.code == .guestShape)
    }
    #expect(try scratch.names == [])
  }

  @Test func writesStayInTheirBlock() throws {
    let memory = try GuestWriter(scratch["guest"]).begin(blockSizes: [0x1000])
    let image = try RawImageWriter(scratch["raw"], size: 0x1000)
    for output in [memory, image] as [any GuestMemoryOutput] {
      for (block, offset) in [(0, 0xfff), (0, .max), (1, 0), (-1, 0)] as [(Int, UInt64)] {
        let error = #expect(throws: MigrationError.self) {
          try output.write(block: block, at: offset, [1, 2].span)
        }
        #expect(error?.code == .internal)
      }
      try output.write(block: 0, at: 0xffe, [1, 2].span)
      var back: [UInt8] = [9, 9, 9]
      var span = back.mutableSpan
      try output.read(block: 0, at: 0xffd, into: &span)
      #expect(back == [0, 1, 2])
    }
  }

  @Test func anExistingBundleNeedsForce() throws {
    try write(try example())
    let error = #expect(throws: MigrationError.self) { try GuestWriter(scratch["guest"]) }
    #expect(error?.code == .outputExists)
    _ = try GuestWriter(scratch["guest"], force: true)
    _ = try GuestReader(bundle: scratch["guest"])
  }

  @Test(arguments: [
    "ram-0.bin", "ram-1.bin", "vcpu-0.vmsa", "vcpu-1.vmsa", "service-0.bin", "service-1.bin",
    "page-states.bin",
  ])
  func aMissingFileIsNamed(name: String) throws {
    try write(try example())
    try scratch.remove("guest/\(name)")
    let error = #expect(throws: MigrationError.self) { try GuestReader(bundle: scratch["guest"]) }
    #expect(error?.code == .guestFile)
    #expect(error?.what.description.contains("guest/\(name)") == true)
  }

  @Test(arguments: [
    "ram-0.bin", "ram-1.bin", "vcpu-0.vmsa", "service-0.bin", "service-1.bin", "page-states.bin",
  ])
  func aFileOfAnotherSizeIsRefused(name: String) throws {
    try write(try example())
    let bytes = try scratch.read("guest/\(name)")
    for changed in [bytes + [0], bytes.dropLast()] where changed != bytes {
      try scratch.write("guest/\(name)", changed)
      let error = #expect(throws: MigrationError.self) { try GuestReader(bundle: scratch["guest"]) }
      #expect(error?.code == .guestFile)
    }
  }

  @Test func aFolderInPlaceOfAFileIsRefused() throws {
    try write(try example())
    try scratch.remove("guest/ram-0.bin")
    try scratch.folder("guest/ram-0.bin")
    let error = #expect(throws: MigrationError.self) { try GuestReader(bundle: scratch["guest"]) }
    #expect(error?.code == .guestFile)
  }

  @Test func whatIsNoBundleIsRefused() throws {
    #expect(
      #expect(throws: MigrationError.self) { try GuestReader(bundle: scratch["no"]) }?.code
        == .inputOpen)
    let file = try scratch.write("file", "x")
    #expect(
      #expect(throws: MigrationError.self) { try GuestReader(bundle: file) }?.code
        == .guestManifest)
    let folder = try scratch.folder("folder")
    #expect(
      #expect(throws: MigrationError.self) { try GuestReader(bundle: folder) }?.code
        == .guestManifest)
  }

  /// Rows: what is replaced in the manifest, by what, and words of the refusal.
  @Test(arguments: [
    ("guest-bundle/1", "guest-bundle/2", "/schema"), ("\"schema\"", "\"scheme\"", "/schema"),
    ("\"machine\"", "\"schema\"", "/schema occurs twice"),
    ("\"machine\"", "\"later\": 1, \"later\": 1, \"machine\"", "/later occurs twice"),
    ("\"machine\"", "\"engine\"", "/machine is missing"),
    ("\"pc-q35-10.0\"", "7", "/machine"), ("\"pc-q35-10.0\"", "null", "/machine"),
    ("\"ram\"", "\"rams\"", "/ram is missing"), ("\"0x8000\"", "\"0x8001\"", "/ram/0"),
    ("\"0x8000\"", "\"8000\"", "/ram/0/size"), ("\"0x8000\"", "32768", "/ram/0/size"),
    ("\"0x8000\"", "\"0x\"", "/ram/0/size"), ("\"0x8000\"", "\"0x+800\"", "/ram/0/size"),
    ("\"0x8000\"", "\"0x00000000000008000\"", "/ram/0/size"),
    ("\"pc.ram\"", "\"\"", "/ram/0"), ("\"pc.ram\"", "[]", "/ram/0/name"),
    ("\"map\": [", "\"map\": 3, \"was\": [", "/map"),
    ("\"block\": 1", "\"block\": -1", "/map/1/block"),
    ("\"block\": 1", "\"block\": 1.5", "/map/1/block"),
    ("\"block\": 1", "\"block\": 18446744073709551616", "/map/1/block"),
    ("\"0x1000-0x4fff\"", "\"0x1000+0x4000\"", "/private/0"),
    ("\"0x1000-0x4fff\"", "\"all\"", "/private/0"), ("\"0x1000-0x4fff\"", "17", "/private/0"),
    ("\"0x1000-0x4fff\"", "\"0x1000-0x4ffe\"", "/private/0"),
    ("\"0x1000-0x4fff\"", "\"0x100002000-0x100002fff\"", "/private/1"),
    ("\"0x1000-0x4fff\"", "\"0x1000-0xffffffff\"", "/private/1"),
    ("\"page_state_runs\": 6", "\"page_state_runs\": 99999999999", "/page_state_runs"),
    ("\"apic_id\": 4294967295", "\"apic_id\": 4294967296", "/vcpus/1/apic_id"),
    ("\"vmpl\": 1", "\"vmpl\": 4", "/vcpus/1/vmpl"),
    ("\"vcpus\": [", "\"vcpus\": [null,", "/vcpus/0"),
    ("\"kind\": 1", "\"kind\": 65536", "/services/0/kind"),
    ("\"mandatory\": true", "\"mandatory\": 1", "/services/0/mandatory"),
    ("\"version\": 3", "\"version\": \"3\"", "/services/0/version"),
    ("\"size\": 3", "\"size\": 8388609", "/services/0/size"),
    // Each is short enough, not the two together.
    ("\"size\": 0", "\"size\": 8388606", "/services/1/size"),
    ("\"0xffffffffffffffff\"", "\"0x10000000000000000\"", "/services/0/generation"),
    ("\"schema\"", "schema", ""),
  ])
  func aDamagedManifestIsRefusedAtItsPlace(old: String, new: String, words: String) throws {
    try write(try example())
    try damageManifest { $0.replacing(old, with: new, maxReplacements: 1) }
    let error = #expect(throws: MigrationError.self) { try GuestReader(bundle: scratch["guest"]) }
    #expect(error?.code == .guestManifest)
    #expect(error?.place?.name == "guest.json")
    #expect(error?.what.description.contains(words) == true, "\(error?.what ?? "")")
  }

  /// Rows: manifests of valid form whose parts do not fit each other.
  @Test(
    arguments: [
      ("\"gpa\": \"0x100000000\"", "\"gpa\": \"0x5000\"", ErrorCode.guestMap),
      ("\"gpa\": \"0x100000000\"", "\"gpa\": \"0x200000000\"", .guestShape),
      ("\"block\": 1", "\"block\": 0", .guestMap), ("\"block\": 1", "\"block\": 2", .guestMap),
      ("\"machine\": \"pc-q35-10.0\"", "\"machine\": \"\"", .guestShape),
      ("\"../ram/", "\"pc.ram\", \"was\": \"", .guestShape),
      ("\"vmpl\": 1", "\"vmpl\": 0", .vcpuVMPL),
      ("\"apic_id\": 4294967295", "\"apic_id\": 7", .vcpuRepeated),
      ("\"kind\": 32769", "\"kind\": 1", .serviceSyntax),
      ("\"page_state_runs\": 6", "\"page_state_runs\": 7", .guestFile),
      // No more than may be, but too many beside the vCPUs, which is refused before the file is read.
      ("\"page_state_runs\": 6", "\"page_state_runs\": 2097152", .guestShape),
    ] as [(String, String, ErrorCode)])
  func aGuestOfPartsThatDoNotFitIsRefused(old: String, new: String, code: ErrorCode) throws {
    try write(try example())
    try damageManifest { $0.replacing(old, with: new, maxReplacements: 1) }
    let error = #expect(throws: MigrationError.self) { try GuestReader(bundle: scratch["guest"]) }
    #expect(error?.code == code)
  }

  @Test func damagedPageStatesAreRefusedAtTheirRun() throws {
    try write(try example())
    var bytes = try scratch.read("guest/page-states.bin")
    bytes[24 + 16] = 9
    try scratch.write("guest/page-states.bin", bytes)
    let error = #expect(throws: MigrationError.self) { try GuestReader(bundle: scratch["guest"]) }
    #expect(error?.code == .mapSyntax)
    #expect(error?.place?.name == "page-states.bin")
    #expect(error?.offset == 24)
  }

  @Test func unknownKeysAndFilesArePassedOver() throws {
    let guest = try example()
    try write(guest)
    try damageManifest { $0.replacing("\"machine\"", with: "\"comment\": {}, \"machine\"") }
    try scratch.write("guest/notes.txt", "x")
    #expect(try GuestReader(bundle: scratch["guest"]).description == guest)
  }

  @Test func aGuestThatIsNoneIsNotWritten() throws {
    var guest = try example()
    guest.pageStates = PageStateMap()
    let memory = try GuestWriter(scratch["guest"]).begin(
      blockSizes: guest.ramBlocks.map(\.size))
    let error = #expect(throws: MigrationError.self) { try memory.finish(guest) }
    #expect(error?.code == .guestShape)
    #expect(error?.got == "guest-physical 0x0")
  }
}
