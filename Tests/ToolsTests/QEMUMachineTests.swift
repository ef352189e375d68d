import Errors
import JSON
import TestSupport
import Testing

/// Machines of QEMU's beside the usual: streams of the real one, and what its monitor said of their memory.
@Suite struct QEMUMachineTests {
  private let shop: Workshop

  init() throws { shop = try Workshop() }

  private static let pages: [(name: String, size: Int)] = [
    ("avr-72-uno", 256), ("arm-72-microbit", 1024), ("s390x-72-virtio", 4096),
    ("isapc-72-two-ide", 4096), ("pc-72-virtio-mem", 4096), ("pc-100-virtio-mem", 4096),
    ("alpha-100-clipper", 8192), ("or1k-100-virt", 8192), ("tricore-100-board", 16384),
  ]

  private func unpack(_ name: String) throws {
    try shop.write("stream", Fixture.read("qemu/\(name)/stream.xz"))
  }

  private func truth(_ name: String) throws -> Set<[String]> {
    try QEMUCase(name: name).blocks
  }

  /// From a file, whose description is known first, and from a pipe.
  @Test(arguments: pages, [false, true])
  func memoryIsReadInTheMachinesPages(row: (name: String, size: Int), piped: Bool) throws {
    try unpack(row.name)
    let call = "\(piped ? "-" : "@stream") --ram-hashes --json"
    let shown = try shop.must("inspect", call, input: piped ? shop["stream"] : "/dev/null").json
    #expect(shown["complete"]?.bool == true)
    #expect(shown["pageSize"]?.int == (row.size == 4096 ? nil : row.size))
    let blocks = QEMUCase.blocks(in: shown)
    #expect(try truth(row.name).isSubset(of: blocks))
    #expect(shown["ramBlocks"]?.array?.allSatisfy { $0["missingPages"] == 0 } == true)
    let total = (shown["ramBlocks"]?.array ?? []).reduce(0) { sum, block in
      sum + (block["usedLength"]?.int ?? 0)
    }
    let pages = shown["sharedPages"]
    if !row.name.hasSuffix("virtio-mem") {
      let count = (pages?["content"]?.int ?? 0) + (pages?["zero"]?.int ?? 0)
      #expect(count == total / row.size)
    }
  }

  @Test(arguments: pages) func whatTheyWriteIsWholeAndCanBeSealed(
    row: (name: String, size: Int)
  ) throws {
    try unpack(row.name)
    let ledger = try shop.must("verify", "@stream").text
    #expect(ledger.contains("proven         structure"))
    #expect(ledger.contains("proven         order") == (row.name != "isapc-72-two-ide"))
    try shop.must("seal", "@stream -o @sealed")
    #expect(try shop.must("verify", "@sealed").text.contains("proven         seal "))
  }

  @Test func aGuestHasPagesOf4KiB() throws {
    try unpack("arm-72-microbit")
    try shop.run("guest", "import @stream -o @guest").requireRefusal(.configuration)
    let size = try shop.must("inspect", "@stream").text
    #expect(size.contains("1 KiB"))
  }

  // MARK: Sections

  @Test func twoDevicesOfOneNameAreBothShown() throws {
    try unpack("isapc-72-two-ide")
    let shown = try shop.must("inspect", "@stream --devices --json").json
    let devices = shown["devices"]?.array?.filter { $0["name"] == "isa-ide" } ?? []
    #expect(devices.count == 2)
    #expect(devices.allSatisfy { $0["fields"]?.members?.isEmpty == false })
    #expect(Set(devices.compactMap { $0["offset"]?.int }).count == 2)
    #expect(shown["undescribed"] == [])
    let ledger = try shop.must("verify", "@stream").text
    #expect(ledger.contains("not checkable  order"))
    #expect(ledger.contains("more than one section is called isa-ide 0"))
  }

  @Test func oneWrongDescriptionCostsItsSectionAlone() throws {
    try unpack("s390x-72-virtio")
    let shown = try shop.must("inspect", "@stream --devices --json").json
    #expect(shown["undescribed"] == ["s390-storage_attributes 0", "s390_css 0"])
    let failed = shown["devices"]?.array?.filter { $0["error"] != nil } ?? []
    #expect(failed.map { $0["name"] } == ["s390_css"])
    #expect(shown["devices"]?.array?.count == 14)
  }

  // MARK: virtio-mem

  @Test(arguments: ["pc-72-virtio-mem", "pc-100-virtio-mem"])
  func memoryThatIsNotPluggedInIsNotMissed(name: String) throws {
    try unpack(name)
    let imported = try shop.must(
      "guest", "import @stream -o @guest --private all")
    #expect(imported.errors.contains("imported pc-i440fx"))
    let map = try shop.must("guest", "show @guest --json").text
    // Main memory alone is mapped.
    #expect(!map.contains("\"block\": \"0000:00:02.0/vm0\""))
    try shop.prepare("there")
    try shop.must(
      "save", "@stream --private all -o @snp --to @there.offer --trust @root.pem")
  }
}
