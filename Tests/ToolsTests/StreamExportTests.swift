import Errors
import JSON
import TestSupport
import Testing

/// `svsm-mig-guest export` of the memory of a stream at its guest-physical addresses.
@Suite struct StreamExportTests {
  private let shop: Workshop

  init() throws { shop = try Workshop() }

  private func requireSame(_ one: String, _ other: String) throws {
    let outcome = try #require(Program.run(["cmp", shop[one], shop[other]]))
    #expect(outcome.status == 0, "\(outcome.text)\(outcome.errors)")
  }

  private static let mapped: [QEMUCase] =
    QEMUCase.all + [
      .init(name: "q35-72-numa"), .init(name: "q35-72-below4g"), .init(name: "pc-72-virtio-mem"),
    ]

  /// NUMA nodes, memory that was plugged in, a moved hole, registers of several vCPUs.
  @Test(arguments: mapped)
  func anExportIsThatOfTheImportedGuest(guest: QEMUCase) throws {
    let words: String
    if QEMUCase.all.contains(where: { $0.name == guest.name }) {
      words = try guest.unpack(into: shop)
    } else {
      try shop.write("stream", Fixture.read("qemu/\(guest.name)/stream.xz"))
      words = "@stream"
    }
    // A VMSA is for an import; what an export cannot say of registers it does not.
    let map = guest.importOptions.replacing(" --vmsa @other/vcpu-0.vmsa", with: "")
    let isDescribed = map == guest.importOptions
    if !isDescribed { try shop.must("guest", "create -o @other --memory 64K") }
    try shop.must("guest", "import \(words)\(guest.importOptions) -o @guest")
    if isDescribed {
      try shop.must("guest", "export @guest -o @core --format elf")
      try shop.must("guest", "export \(words)\(map) -o @core2 --format elf")
      try requireSame("core", "core2")
    } else {
      try shop.run("guest", "export \(words)\(map) -o @core --format elf")
        .requireRefusal(.vmdescriptionMissing)
    }
    try shop.must("guest", "export @guest -o @raw")
    try shop.must("guest", "export \(words)\(map) -o @raw2")
    try requireSame("raw", "raw2")
    let part = try shop.must("guest", "export \(words)\(map) -o - --range 0x7bfe+0x1403")
    #expect(part.output == Array(try shop.read("raw")[0x7bfe..<0x9001]))
  }

  /// Rows: a stream of which no map is known, what else its call has.
  @Test(arguments: [
    "aarch64-72-virt", "riscv64-72-virt", "s390x-72-virtio", "avr-72-uno", "arm-72-microbit",
    "or1k-100-virt", "pc2.0-boot", "pc100-boot-dimm",
  ])
  func withoutAMapTheRefusalNamesTheOption(name: String) throws {
    try shop.write("stream", Fixture.read("qemu/\(name)/stream.xz"))
    for call in ["", "--format elf", "--range 0+1", "--page 0"] {
      let outcome = try shop.run("guest", "export @stream -o @out \(call)")
      outcome.requireRefusal(.guestMap)
      #expect(outcome.errors.contains("--block NAME"), "\(outcome.errors)")
    }
    #expect(try shop.names == ["stream"])
  }

  @Test func wherePlacesAreToldTheyCount() throws {
    try shop.write("stream", Fixture.read("qemu/pc100-boot-dimm/stream.xz"))
    let told = "--ram d0@0x100000000 --not-ram d1"
    let run = try shop.must("guest", "export @stream \(told) -o @core --format elf")
    #expect(run.errors.contains("with 1 vCPU"))
    let high = try shop.must("guest", "export @stream \(told) -o - --page 0x100000000").output
    let block = try shop.must("guest", "export @stream -o - --block d0 --range 0+4096").output
    #expect(high == block)
  }
}
