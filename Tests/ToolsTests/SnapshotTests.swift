import Errors
import JSON
import TestSupport
import Testing

/// Internal snapshots of qcow2 images that QEMU wrote (`Fixtures/qcow2/README.md`), by the tools.
@Suite struct SnapshotTests {
  private let shop: Workshop

  init() throws { shop = try Workshop() }

  private static let cases = Result {
    try JSON(parsing: Fixture.read("qcow2/cases.json")).members ?? []
  }

  private func unpack(_ image: String) throws {
    try shop.write("image", Fixture.read("qcow2/\(image).xz"))
  }

  /// Runs a tool with a name that may have spaces.
  private func run(
    _ tool: String, _ line: String, snapshot: String
  ) throws -> Program.Outcome {
    try #require(Program.run(shop.words(tool, line) + ["--snapshot", snapshot]))
  }

  @Test("The RAM of each snapshot is what QEMU's pmemsave said of the running guest")
  func memoryIsThatOfTheGuest() throws {
    let cases = try Self.cases.get()
    #expect(cases.count > 20)
    for image in cases where image.key != "pc-72" {
      try unpack(image.key)
      for snapshot in image.value.members ?? [] {
        let outcome = try run(
          "inspect", "@image --ram-hashes --json", snapshot: snapshot.key)
        try #require(outcome.status == 0, "\(image.key): \(outcome.errors)")
        let shown = try outcome.json
        #expect(shown["ramBlocks"]?.array?.first?["sha256"] == snapshot.value, "\(image.key)")
        #expect(shown["snapshot"]?["name"]?.string == snapshot.key)
        let verified = try run("verify", "@image", snapshot: snapshot.key)
        #expect(verified.status == 0, "\(image.key): \(verified.errors)")
      }
    }
  }

  @Test("A guest is imported, saved and sealed out of a snapshot")
  func aGuestComesOutOfASnapshot() throws {
    try unpack("pc-72")
    try shop.must("guest", "import @image --snapshot state -o @guest --private 0x100000+0x1000")
    try shop.must("guest", "export @guest --range 0x100000+0x100000 -o @part")
    let hash = try Self.cases.get().first { $0.key == "pc-72" }?.value["state"]?.string
    #expect(try Program.sha256(of: shop["part"]) == hash)
    try shop.prepare("there")
    try shop.must(
      "save", "@image --snapshot 1 -o @stream --to @there.offer --trust @root.pem --private all")
    try shop.must("verify", "@stream --instance @there.svsm --trust @root.pem")
    try shop.must("seal", "@image --snapshot state -o @sealed")
    let sealed = try shop.must("verify", "@sealed")
    #expect(sealed.text.contains("proven         seal"))
  }

  @Test func aListShowsAllSnapshots() throws {
    try unpack("several-100")
    let lines = try shop.must("inspect", "@image --snapshot list").text.split(separator: "\n")
    #expect(lines.count == 5)
    #expect(lines[0].split(separator: " ").first == "ID")
    #expect(lines[3].hasPrefix("3   disk only") && lines[3].hasSuffix("none"))
    let list = try shop.must("inspect", "@image --snapshot list --json").json
    #expect(
      list["snapshots"]?.array?.map { $0["name"]?.string } == [
        "before update", "4", "disk only", "später",
      ])
    #expect(try shop.run("verify", "@image --snapshot list").status == 64)
  }

  @Test func anImageWithoutANameNamesItsSnapshots() throws {
    try unpack("several-72")
    for call in ["inspect @image", "verify @image", "guest import @image -o @guest"] {
      let words = call.split(separator: " ", maxSplits: 1)
      let outcome = try shop.run(String(words[0]), String(words[1]))
      outcome.requireRefusal(.streamMagic)
      #expect(outcome.errors.contains("with --snapshot one of the image: 1 (before update), 2 (4)"))
      #expect(outcome.errors.contains("a qcow2 image"))
    }
  }

  @Test func aSnapshotThatIsNotThereIsRefused() throws {
    try unpack("several-72")
    try run("inspect", "@image", snapshot: "disk only").requireRefusal(.imageSnapshot)
    try run("verify", "@image", snapshot: "none").requireRefusal(.imageSnapshot)
    try shop.write("stream", Fixture.read("qcow2/stream-of-v3-72.xz"))
    try run("inspect", "@stream", snapshot: "state").requireRefusal(.imageHeader)
    #expect(try run("inspect", "@image --offset 1", snapshot: "4").status == 64)
    #expect(try run("inspect", "@image --length 1", snapshot: "4").status == 64)
  }

  @Test func anImageFromAPipeIsRefused() throws {
    try unpack("v3-72")
    let piped = try #require(
      Program.pipe(
        ["cat", shop["image"]], into: shop.words("inspect", "- --snapshot state")))
    piped.second.requireRefusal(.inputKind)
  }

  /// Compressed clusters are a layer of packing, and a packed stream in them is a second one. No QEMU
  /// compresses the clusters of VM state.
  @Test(arguments: [
    ["gzip", "-c"], ["xz", "-0c"], ["zstd", "-qc"], ["bzip2", "-c"], ["lz4", "-c"],
  ])
  func aPackedStreamIsRefusedInCompressedClusters(command: [String]) throws {
    let stream = try Fixture.read("qcow2/stream-of-v3-72.xz")
    let path = try shop.write("stream", stream)
    let packed = try #require(Program.run(command + [path]))
    func image(_ content: [UInt8], compressed: Int?) throws {
      let bits = 12
      var (clusters, body) = ([QCow2Maker.Cluster](), [UInt8]())
      for start in stride(from: 0, to: content.count, by: 1 << bits) {
        var bytes = Array(content[start..<min(start + 1 << bits, content.count)])
        bytes += [UInt8](repeating: 0, count: 1 << bits - bytes.count)
        if clusters.count == compressed {
          body = QCow2Maker.deflated(bytes)
          clusters.append(.compressed(0..<body.count))
        } else {
          clusters.append(.plain(bytes))
        }
      }
      try shop.write("image", QCow2Maker(clusterBits: bits).image(clusters, body: body))
    }
    try image(stream, compressed: 1)
    #expect(try run("verify", "@image", snapshot: "x").status == 0)
    if command[0] == "gzip" {
      try image(packed.output, compressed: nil)
      #expect(try run("verify", "@image", snapshot: "x").status == 0)
    }
    try image(packed.output, compressed: 1)
    for tool in ["inspect", "verify"] {
      let outcome = try run(tool, "@image", snapshot: "x")
      outcome.requireRefusal(.imageFormat)
      #expect(outcome.errors.contains("packed by \(command[0]) is in compressed clusters"))
    }
  }
}
