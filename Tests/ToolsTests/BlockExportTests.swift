import Errors
import JSON
import TestSupport
import Testing

/// `svsm-mig-guest export` of RAM blocks of a stream.
@Suite struct BlockExportTests {
  private let shop: Workshop

  init() throws { shop = try Workshop() }

  private func unpack(_ name: String) throws {
    try shop.write("stream", Fixture.read("qemu/\(name)/stream.xz"))
  }

  private func hash(_ file: String) throws -> String? { try Program.sha256(of: shop[file]) }

  /// Name, size and SHA-256 of what `export --all-blocks` made in `folder`: of the files, which must be as
  /// the list says.
  private func blocks(in folder: String) throws -> Set<[String]> {
    let list = try JSON(parsing: shop.read("\(folder)/blocks.json"))
    #expect(list["schema"] == "svsm-migration/blocks/2")
    var found: Set<[String]> = []
    var names: [String] = ["blocks.json"]
    for (index, block) in (list["blocks"]?.array ?? []).enumerated() {
      let file = try #require(block["file"]?.string)
      #expect(file == "block-\(index).bin")
      names.append(file)
      let hash = try hash("\(folder)/\(file)") ?? ""
      #expect(block["sha256"]?.string == hash)
      #expect(try shop.mode("\(folder)/\(file)") == 0o600)
      found.insert([block["name"]?.string ?? "", "\(block["size"]?.uint ?? 0)", hash])
    }
    #expect(try shop.names(in: folder) == names.sorted())
    return found
  }

  // MARK: Whole streams

  /// Every kind of stream: channels, an offset, mapped-ram, deltas, postcopy, an image of libvirt.
  @Test(arguments: QEMUCase.all)
  func allBlocksAreWhatQEMUHad(guest: QEMUCase) throws {
    let words = try guest.unpack(into: shop)
    try shop.must("guest", "export \(words) -o @blocks --all-blocks")
    #expect(try guest.blocks.isSubset(of: blocks(in: "blocks")))
    let list = try JSON(parsing: shop.read("blocks/blocks.json"))
    #expect(list["complete"]?.bool == true)
    // One alone is the same, to a file and in order.
    let main = list["blocks"]?.array?.firstIndex { $0["name"] == "pc.ram" }
    let index = try #require(main)
    let part = try shop.must("guest", "export \(words) -o - --block pc.ram --range 0x6ffe+0x2005")
    #expect(part.output == Array(try shop.read("blocks/block-\(index).bin")[0x6ffe..<0x9003]))
  }

  /// Machines of other architectures, in pages of 256 bytes to 16 KiB.
  @Test(
    arguments: [
      "avr-72-uno", "arm-72-microbit", "s390x-72-virtio", "alpha-100-clipper", "or1k-100-virt",
      "tricore-100-board", "aarch64-72-virt", "riscv64-72-virt", "pc-100-virtio-mem",
    ], [false, true])
  func blocksOfAnyMachineAreWritten(name: String, piped: Bool) throws {
    try unpack(name)
    let call = "export \(piped ? "-" : "@stream") -o @blocks --all-blocks"
    try shop.must("guest", call, input: piped ? shop["stream"] : "/dev/null")
    let shown = try shop.must("inspect", "@stream --ram-hashes --json").json
    let found = try blocks(in: "blocks")
    #expect(found == QEMUCase.blocks(in: shown))
    #expect(try QEMUCase(name: name).blocks.isSubset(of: found))
  }

  @Test func aRangeBeginsAndEndsAtAnyByte() throws {
    try unpack("avr-72-uno")
    try shop.must("guest", "export @stream -o @flash --block flash")
    let flash = try shop.read("flash")
    try #require(flash.contains { $0 != 0 })
    for (first, count) in [(0, 1), (1, 300), (255, 2), (0x7fff, 1), (777, 20_000)] {
      try shop.must("guest", "export @stream -o @part -f --block flash --range \(first)+\(count)")
      #expect(try shop.read("part") == Array(flash[first..<first + count]))
    }
  }

  @Test func zeroMemoryIsAHole() throws {
    try unpack("pc72-boot-live-xbzrle")
    try shop.must("guest", "export @stream -o @ram --block pc.ram")
    let usage = try #require(Program.run(["du", "-B1", shop["ram"]])).text
    let stored = try #require(Int(usage.split(separator: "\t")[0]))
    let ram = try shop.read("ram")
    let pages = stride(from: 0, to: ram.count, by: 4096)
      .count { ram[$0..<$0 + 4096].contains { $0 != 0 } }
    // Not more than its pages that are not zero, but for what the file system keeps of itself.
    #expect(stored <= pages * 4096 + 65536)
  }

  @Test func aSnapshotAndAPackedFileAreRead() throws {
    let cases = try JSON(parsing: Fixture.read("qcow2/cases.json"))
    try shop.write("image", Fixture.read("qcow2/v3-72.xz"))
    let list = try shop.must("inspect", "@image --snapshot list --json").json
    let name = try #require(list["snapshots"]?.array?.first?["name"]?.string)
    try shop.must("guest", "export @image --snapshot \(name) -o @state --all-blocks")
    let shown = try shop.must("inspect", "@image --snapshot \(name) --json --ram-hashes").json
    #expect(try blocks(in: "state") == QEMUCase.blocks(in: shown))
    for packed in ["frame.lz4", "best.lzo", "level-9.bz2"] {
      try shop.write("packed", Fixture.read("packed/\(packed)"))
      let shown = try shop.must("inspect", "@packed --json").json
      let block = try #require(shown["ramBlocks"]?.array?.first?["name"]?.string)
      try shop.must("guest", "export @packed -o @ram -f --block \(block)")
      #expect(try hash("ram") == cases["v3-72"]?["state"]?.string)
    }
  }

  // MARK: A guest at rest

  @Test func aBundleHasTheSameBlocks() throws {
    try unpack("q35-72-boot")
    try shop.must("guest", "import @stream -o @guest")
    try shop.must("guest", "export @guest -o @fromBundle --all-blocks")
    try shop.must("guest", "export @stream -o @fromStream --all-blocks")
    #expect(try shop.read("fromBundle/blocks.json") == shop.read("fromStream/blocks.json"))
    #expect(try blocks(in: "fromBundle") == blocks(in: "fromStream"))
    try shop.must("guest", "export @guest -o @bios --block pc.bios --range 0x3fff0+16")
    let whole = try shop.must("guest", "export @stream -o - --block pc.bios").output
    #expect(try shop.read("bios") == Array(whole.suffix(16)))
    // Only a folder of this kind is replaced.
    try shop.must("guest", "export @guest -o @fromStream --all-blocks --force")
    try shop.run("guest", "export @stream -o @guest --all-blocks --force")
      .requireRefusal(.outputExists)
    try shop.write("image", [UInt8](repeating: 7, count: 8192))
    #expect(
      try shop.must("guest", "export @image -o - --block pc.ram --range 1+4").output
        == [7, 7, 7, 7])
  }

  // MARK: Refusals

  @Test func aBlockThatIsNotThereIsRefused() throws {
    try unpack("pc72-boot")
    let wrong = try shop.run("guest", "export @stream -o @out --block ram")
    wrong.requireRefusal(.guestMap)
    #expect(wrong.errors.contains("\"pc.ram\", \"/rom@etc/acpi/tables\""), "\(wrong.errors)")
    try shop.run("guest", "export @stream -o @out --block pc.ram --range 0x7fffff+2")
      .requireRefusal(.guestMap)
    #expect(try shop.names == ["stream"])
    try shop.write("out", "something else")
    try shop.run("guest", "export @stream -o @out --block pc.ram").requireRefusal(.outputExists)
    try shop.run("guest", "export @stream -o @stream -f --block pc.ram").requireRefusal(.outputSame)
    try shop.run("guest", "export @stream -o @out --all-blocks").requireRefusal(.outputExists)
    #expect(try shop.text("out") == "something else")
  }

  // MARK: What is incomplete

  @Test func anIncompleteStreamGivesWhatItHas() throws {
    try unpack("pc72-boot-cancelled")
    for call in ["--block pc.ram", "--all-blocks", "", "--format elf"] {
      try shop.run("guest", "export @stream -o @out \(call)").requireRefusal(.streamTruncated)
    }
    #expect(try shop.names == ["stream"])
    let shown = try shop.must("inspect", "@stream --json --ram-hashes --allow-incomplete").json
    let run = try shop.must("guest", "export @stream -o @blocks --all-blocks --allow-incomplete")
    _ = try blocks(in: "blocks")
    let list = try JSON(parsing: shop.read("blocks/blocks.json"))
    #expect(list["complete"]?.bool == false)
    let lines = run.errors.split(separator: "\n")
    #expect(lines.count { $0.contains("not whole: [STREAM-TRUNCATED]") } == 1)
    let missing = lines.filter { $0.contains("missing in the export: ") }
    #expect(missing.count <= 1)
    for (one, other) in zip(list["blocks"]?.array ?? [], shown["ramBlocks"]?.array ?? []) {
      let pages = try #require(other["missingPages"]?.int)
      let name = try #require(one["name"]?.string)
      #expect(one["missing"]?.int == pages * 4096)
      let isSaid = missing.first?.contains("\(name) \(pages * 4096) bytes") == true
      #expect(isSaid == (pages > 0))
      if pages == 0 { #expect(one["sha256"] == other["sha256"]) }
    }
    // A core has the same memory, and no registers.
    let core = try shop.must("guest", "export @stream -o @core --format elf --allow-incomplete")
    #expect(core.errors.contains("the stream ends before its vCPUs"))
    try shop.must("guest", "export @stream -o @main --allow-incomplete")
    let index = try #require(list["blocks"]?.array?.firstIndex { $0["name"] == "pc.ram" })
    let ram = try shop.read("blocks/block-\(index).bin")
    #expect(try shop.read("main") == ram)
    #expect(try shop.read("core").suffix(ram.count) == ram[...])
  }

  /// A stream that is cut at any place is exported as far as it goes.
  @Test func aCutStreamIsExportedAsFarAsItGoes() throws {
    try unpack("pc72-boot")
    let stream = try shop.read("stream")
    try shop.must("guest", "export @stream -o @whole --block pc.ram")
    let whole = try shop.read("whole")
    for cut in [400_000, 1_500_001, stream.count - 60_000] {
      try shop.write("cut", Array(stream[..<cut]))
      try shop.run("guest", "export @cut -o @none --block pc.ram").requireRefusal(.streamTruncated)
      let run = try shop.must("guest", "export @cut -o @out -f --block pc.ram --allow-incomplete")
      let found = try shop.read("out")
      #expect(found.count == whole.count)
      var missing = 0
      for page in stride(from: 0, to: whole.count, by: 4096)
      where !found[page..<page + 4096].elementsEqual(whole[page..<page + 4096]) {
        missing += 4096
        #expect(found[page..<page + 4096].allSatisfy { $0 == 0 })
      }
      let said = run.errors.split(separator: "\n").compactMap { line in
        line.split(separator: "pc.ram ").last.flatMap { Int($0.dropLast(" bytes".count)) }
      }
      #expect((said.first ?? 0) >= missing)
    }
    try shop.write("cut", Array(stream[..<40]))
    try shop.run("guest", "export @cut -o @none --block pc.ram --allow-incomplete")
      .requireRefusal(.streamTruncated)
  }

  @Test func memoryInAnotherFileIsMissing() throws {
    try unpack("pc72-boot-ignore-shared")
    try shop.run("guest", "export @stream -o @ram --block pc.shared").requireRefusal(.ramMissing)
    try shop.must("guest", "export @stream -o @bios --block pc.bios")
    let run = try shop.must("guest", "export @stream -o @ram --block pc.shared --allow-incomplete")
    #expect(run.errors.contains("missing in the export: pc.shared 8388608 bytes"))
    let part = try shop.must(
      "guest", "export @stream -o @part --block pc.shared --range 1+10 --allow-incomplete")
    #expect(part.errors.contains("pc.shared 10 bytes"))
  }
}
