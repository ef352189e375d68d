import Errors
import JSON
import TestSupport
import Testing

/// What follows a stream in its file, what packs the file, and files that hold no stream.
@Suite struct StreamPlaceTests {
  private let shop: Workshop
  private let size = 869_549

  init() throws {
    shop = try Workshop()
    try shop.write("stream", Fixture.read("qemu/pc72-bios-reset/stream.xz"))
  }

  @Test("Zero bytes after a plain stream are counted, as on a volume")
  func paddingIsNoted() throws {
    let stream = try shop.read("stream")
    try #require(stream.count == size)
    try shop.write("padded", stream)
    try shop.truncate("padded", to: 4 << 20)
    let zeros = (4 << 20) - size
    let shown = try shop.must("inspect", "@padded --json --ram-hashes").json
    #expect(shown["padding"]?.int == zeros)
    #expect(shown["size"]?.int == size)
    #expect(shown["complete"]?.bool == true)
    #expect(QEMUCase.blocks(in: shown) == (try QEMUCase.named("pc72-bios-reset").blocks))
    #expect(try shop.must("inspect", "@padded").text.contains("\(zeros) zero bytes after it"))
    let verified = try shop.must("verify", "@padded")
    #expect(verified.text.contains("not covered    padding: \(zeros) zero bytes after the stream"))
    #expect(try shop.must("verify", "@padded --json").json["padding"]?.int == zeros)
    let note = "\(zeros) zero bytes after the stream left out"
    #expect(try shop.must("guest", "import @padded -o @guest").errors.contains(note))
    #expect(try shop.must("seal", "@padded -o @sealed").errors.contains(note))
    try shop.must("seal", "@stream -o @plain")
    #expect(try shop.read("sealed") == shop.read("plain"))
    // A sealed stream is rounded up as any other.
    try shop.truncate("sealed", to: 2 << 20)
    #expect(try shop.must("verify", "@sealed").text.contains("proven         seal"))
    // The same from a pipe, which has neither size nor holes.
    let piped = try #require(
      Program.pipe(["cat", shop["padded"]], into: shop.words("inspect", "- --json")))
    #expect(try piped.second.json["padding"]?.int == zeros)
  }

  @Test("A stream without footers finds its description before zero bytes")
  func anOldStreamIsReadBeforeItsPadding() throws {
    try shop.write("old", Fixture.read("qemu/pc2.4-boot/stream.xz"))
    let before = try shop.must("inspect", "@old --json").json
    try shop.truncate("old", to: 8 << 20)
    let after = try shop.must("inspect", "@old --json").json
    #expect(after["undescribed"] == before["undescribed"])
    #expect(after["size"] == before["size"])
  }

  @Test("Other bytes are refused with the option that leaves them out, and left out by it")
  func aLengthLeavesTheRestOut() throws {
    let stream = try shop.read("stream")
    let rest = [UInt8](repeating: 0, count: 100) + Array("QEVM old content".utf8)
    try shop.write("volume", stream + rest)
    let hint = "--length 0x" + String(size, radix: 16)
    for call in ["inspect", "verify"] {
      let outcome = try shop.run(call, "@volume")
      outcome.requireRefusal(.streamTrailing)
      #expect(outcome.errors.contains(hint), "\(outcome.errors)")
    }
    for call in ["guest import @volume -o @guest", "seal @volume -o @sealed"] {
      let words = call.split(separator: " ", maxSplits: 1)
      let outcome = try shop.run(String(words[0]), String(words[1]))
      outcome.requireRefusal(.streamTrailing)
      #expect(outcome.errors.contains(hint), "\(outcome.errors)")
    }
    let shown = try shop.must("inspect", "@volume --json --length \(size)").json
    #expect(shown["rest"]?.int == rest.count)
    #expect(shown["padding"] == nil)
    let verified = try shop.must("verify", "@volume --length \(size)")
    #expect(
      verified.text.contains("not checked    rest: \(rest.count) bytes of the file after --length"))
    try shop.must("guest", "import @volume -o @guest --length \(size)")
    try shop.must("seal", "@volume -o @sealed --length \(size)")
    try shop.must("seal", "@stream -o @plain")
    #expect(try shop.read("sealed") == shop.read("plain"))
    try shop.prepare("there")
    try shop.must(
      "save", "@volume --length \(size) -o @saved --to @there.offer --trust @root.pem")
    // From an offset on, and from a pipe.
    try shop.write("inner", [UInt8](repeating: 7, count: 50) + stream + rest)
    try shop.must("inspect", "@inner --offset 50 --length \(size)")
    let hinted = try shop.run("inspect", "@inner --offset 50")
    #expect(hinted.errors.contains(hint), "\(hinted.errors)")
    let piped = try #require(
      Program.pipe(
        ["cat", shop["inner"]], into: shop.words("verify", "- --offset 50 --length \(size)")))
    #expect(piped.second.status == 0, "\(piped.second.errors)")
    try shop.run("verify", "@stream --length \(size + 1)").requireRefusal(.streamTruncated)
    try shop.run("verify", "@stream --length \(size - 1)").requireRefusal(.streamTruncated)
  }

  @Test func anSNPStreamIsFollowedByNothing() throws {
    let stream = try Fixture.read("golden/tiny/stream.mig")
    try shop.write("snp", stream + [0])
    try shop.run("verify", "@snp").requireRefusal(.streamTrailing)
    try shop.run("verify", "@snp --length \(stream.count)").requireRefusal(.streamKind)
    let packed = try #require(Program.run(["gzip", "-c", shop["snp"]]))
    try shop.write("packed", packed.output)
    try shop.run("verify", "@packed").requireRefusal(.streamKind)
  }

  /// Rows: a stream of `Fixtures/packed`, how it is packed.
  @Test(
    arguments: [
      ("frame.lz4", "lz4"), ("legacy.lz4", "lz4"), ("level-9.bz2", "bzip2"), ("best.lzo", "lzop"),
    ])
  func aPackedFileIsUnpacked(name: String, packing: String) throws {
    try shop.write("packed", Fixture.read("packed/\(name)"))
    let shown = try shop.must("inspect", "@packed --json --ram-hashes").json
    #expect(shown["packing"]?.string == packing)
    let cases = try JSON(parsing: Fixture.read("qcow2/cases.json"))
    #expect(shown["ramBlocks"]?.array?.first?["sha256"] == cases["v3-72"]?["state"])
    #expect(try shop.must("inspect", "@packed").text.contains("with \(packing)"))
    try shop.must("verify", "@packed")
    try shop.must("seal", "@packed -o @sealed")
  }

  @Test(arguments: [["gzip", "-c"], ["xz", "-0c"], ["zstd", "-qc"]])
  func aStreamInAPackedFileIsImported(command: [String]) throws {
    let packed = try #require(Program.run(command + [shop["stream"]]))
    try shop.write("packed", packed.output)
    try shop.must("guest", "import @packed -o @guest --private 0x0+0x1000")
    // Packed once more it is not taken for a stream, nor for memory: two layers multiply.
    for outer in [
      ["gzip", "-c"], ["xz", "-0c"], ["zstd", "-qc"], ["bzip2", "-c"], ["lz4", "-c"],
    ] {
      let again = try #require(Program.run(outer + [shop["packed"]]))
      try shop.write("again", again.output)
      let outcome = try shop.run("guest", "import @again -o @other")
      outcome.requireRefusal(.imageFormat)
      #expect(outcome.errors.contains("unpack the file with \(outer[0]) first"))
    }
  }

  /// Rows: first bytes of a file, what it is called.
  @Test(
    arguments: [
      ([0x7f, 0x45, 0x4c, 0x46], "ELF"), (Array("KDUMP   ".utf8), "kdump"),
      (Array("makedumpfile".utf8), "kdump"), (Array("EMiL".utf8), "LiME"),
      (Array("KDMV".utf8), "disk image"), (Array("vhdxfile".utf8), "disk image"),
      ([0x11, 0x22, 0x33, 0x44], "multifd channel"),
    ] as [([UInt8], String)])
  func aForeignFileIsNoMemory(magic: [UInt8], name: String) throws {
    try shop.write("foreign", magic + [UInt8](repeating: 0, count: (1 << 20) - magic.count))
    try shop.prepare("there")
    for call in [
      "guest import @foreign -o @guest",
      "save @foreign -o @saved --to @there.offer --trust @root.pem",
      "guest export @foreign -o @exported",
    ] {
      let words = call.split(separator: " ", maxSplits: 1)
      let outcome = try shop.run(String(words[0]), String(words[1]))
      outcome.requireRefusal(.inputKind)
      #expect(outcome.errors.contains(name), "\(outcome.errors)")
    }
    let shown = try shop.run("inspect", "@foreign")
    shown.requireRefusal(.streamMagic)
    #expect(shown.errors.contains(name), "\(shown.errors)")
    // Who asks for it gets it.
    try shop.must("guest", "import @foreign -o @guest --format raw")
  }

  @Test func aFileWithAStreamInItIsNoMemory() throws {
    let stream = try shop.read("stream")
    let file = [UInt8](repeating: 7, count: 0x1234) + stream
    try shop.write("file", file + [UInt8](repeating: 7, count: 4096 - file.count % 4096))
    let outcome = try shop.run("guest", "import @file -o @guest")
    outcome.requireRefusal(.inputKind)
    #expect(outcome.errors.contains("--offset 0x1234"), "\(outcome.errors)")
  }
}
