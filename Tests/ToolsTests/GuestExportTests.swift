import Errors
import TestSupport
import Testing

/// `svsm-mig-guest export`.
@Suite struct GuestExportTests {
  @Test func theMemoryOfARealGuestIsExported() throws {
    let shop = try Workshop()
    try shop.write("stream", Fixture.read("qemu/pc72-boot/stream.xz"))
    try shop.must("guest", "import @stream -o @guest --private all")
    let ram = try Fixture.read("qemu/pc72-boot/pc.ram.bin.xz")
    let run = try shop.must("guest", "export @guest -o @ram")
    #expect(run.output.isEmpty)
    #expect(run.errors.contains("exported 8 MiB of pc-i440fx-7.2 to "))
    #expect(try shop.read("ram") == ram)
    // It holds what was private.
    #expect(try shop.mode("ram") == 0o600)
    try shop.must("guest", "export @guest -o @range --range 0x12345+100000")
    #expect(try shop.read("range") == Array(ram[0x12345..<0x12345 + 100_000]))
    #expect(
      try shop.must("guest", "export @guest -o - --page 0x7c12").output
        == Array(ram[0x7000..<0x8000]))
    let core = try shop.must("guest", "export @guest -o @core --format elf")
    #expect(core.errors.contains("exported 8 MiB of pc-i440fx-7.2 with 1 vCPU to "))
    #expect(try shop.read("core").suffix(ram.count) == ram[...])
    #expect(try shop.must("guest", "export @guest -o - --format elf").output == shop.read("core"))
  }

  @Test func aRawImageIsLaidOutAsItsMachine() throws {
    let shop = try Workshop()
    try shop.write("image", (0..<0x4000).map { UInt8(truncatingIfNeeded: $0 >> 12) + 1 })
    let high = "export @image -o @high --range 0x100000000+1"
    try shop.run("guest", high).requireRefusal(.guestMap)
    try shop.must("guest", high + " --machine pc --below-4g 0x3000")
    #expect(try shop.read("high") == [4])
    // An image says nothing of its vCPUs, and none is made up.
    let core = try shop.must("guest", "export @image -o @core --format elf")
    #expect(core.errors.contains("with 0 vCPUs"))
    try shop.run("guest", "export @image -o @core2 --format elf --machine virt")
      .requireRefusal(.guestMap)
  }

  @Test func anExportAppearsWholeOrNotAtAll() throws {
    let shop = try Workshop()
    try shop.makeGuest()
    try shop.write("there", "something else")
    let before = try shop.names
    try shop.run("guest", "export @guest -o @there").requireRefusal(.outputExists)
    try shop.run("guest", "export @guest -o @new --range 0x70000+1M").requireRefusal(.guestMap)
    try shop.run("guest", "export @guest -o @guest/ram-0.bin --force").requireRefusal(.outputSame)
    try shop.run("guest", "export @missing -o @new").requireRefusal(.inputOpen)
    try shop.write("stream", Fixture.read("golden/tiny/stream.mig"))
    try shop.run("guest", "export @stream -o @new").requireRefusal(.inputKind)
    #expect(try shop.names == (before + ["stream"]).sorted())
    #expect(try shop.text("there") == "something else")
    try shop.must("guest", "export @guest -o @there --force -q")
    #expect(try shop.read("there") == shop.read("guest/ram-0.bin"))
  }

  @Test(arguments: [
    "export @guest", "export @guest -o @x --page 0 --range 0+1", "export @guest -o @x --range 1",
    "export @guest -o @x --page 0x10000000000000", "export @guest -o @x --format png",
    "export @guest -o @x --machine pc", "export @guest -o @x --below-4g 1M",
    "export @guest -o @x --block a --all-blocks", "export @guest -o - --all-blocks",
    "export @guest -o @x --all-blocks --range 0+1", "export @guest -o @x --block a --format elf",
    "export @guest -o @x --block a --page 0", "export @guest -o @x --block a --machine pc",
    "export @guest -o @x --allow-incomplete", "export @guest -o @x --offset 1",
    "export @guest -o @x --ram a", "export - -o @x --channel -",
  ])
  func aWrongCallIsSixtyFour(call: String) throws {
    let shop = try Workshop()
    try shop.makeGuest()
    let outcome = try shop.run("guest", call)
    #expect(outcome.status == 64, "\(outcome.errors)")
    #expect(!shop.exists("x"))
  }
}
