import JSON
import TestSupport
import Testing

/// Sparse files, as the tools meet them: what is not stored is zero, and costs nothing.
@Suite struct HoleToolTests {
  private let shop: Workshop

  init() throws { shop = try Workshop() }

  /// A mapped-ram file with one block of `size` bytes, all of it a hole.
  private func makeSparse(_ name: String, size: UInt64) throws {
    let folder = Repository.path("Tests/peers")
    let program =
      "import pathlib, sys; sys.path.insert(0, sys.argv[1]); import costly; "
      + "costly.sparse(pathlib.Path(sys.argv[2]), int(sys.argv[3]))"
    let outcome = try #require(
      Program.run(["python3", "-B", "-c", program, folder, shop[name], "\(size)"]))
    try #require(outcome.status == 0, "\(outcome.errors)")
  }

  /// KiB that a file or folder takes.
  private func stored(_ name: String) throws -> Int {
    let outcome = try #require(Program.run(["du", "-sk", shop[name]]))
    return try #require(outcome.text.split(separator: "\t").first.flatMap { Int($0) })
  }

  @Test("A guest of terabytes that nobody stores is imported, verified and sealed")
  func aHoleCostsNothing() throws {
    try makeSparse("sparse", size: 1 << 40)
    try shop.makeGuest(memory: "64K")
    try shop.must("guest", "import @sparse -o @made --private none --vmsa @guest/vcpu-0.vmsa")
    #expect(try stored("made") < 1024)
    let verified = try shop.must("verify", "@sparse --json").json
    #expect(verified["refused"] != true && verified["proven"] == 2)
    try makeSparse("smaller", size: 16 << 30)
    try shop.must("seal", "@smaller -o @sealed")
    // 32 bytes for each 256 KiB are the seal.
    #expect(try stored("sealed") < 4096)
    #expect(try shop.must("verify", "@sealed --json").json["proven"] == 3)
    // What is written to a pipe has no holes, and is the same.
    let line = "cd \(shop.path); \(Program.tool("svsm-mig-seal")) small -o - | cmp - sealed"
    try makeSparse("small", size: 32 << 20)
    try shop.must("seal", "@small -o @sealed --force")
    let same = try #require(Program.run(["bash", "-c", line]))
    #expect(same.status == 0, "\(same.text)\(same.errors)")
  }

  @Test("Zeros that nothing stores are hashed up to a limit, and what is beyond it is said")
  func zerosAreHashedUpToALimit() throws {
    try makeSparse("sparse", size: 256 << 20)
    let hashed = try shop.must("inspect", "@sparse --ram-hashes --json").json
    let block = try #require(hashed["ramBlocks"]?.array?.first)
    #expect(
      block["sha256"]?.string == "a6d72ac7690f53be6ae46ba88506bd97302a093f7108472bd9efc3cefda06484")
    #expect(block["unhashedZeros"] == 0)
    try makeSparse("vast", size: 4 << 40)
    let vast = try shop.must("inspect", "@vast --ram-hashes --json").json
    let unhashed = try #require(vast["ramBlocks"]?.array?.first)
    #expect(unhashed["sha256"]?.isNull == true && unhashed["missingPages"] == 0)
    #expect(unhashed["unhashedZeros"]?.int == 4 << 40)
    #expect(
      try shop.must("inspect", "@vast --ram-hashes").text.contains(
        "not hashed: 4 TiB are zeros that are not stored"))
  }

  @Test("A stream of QEMU is the same to every tool when its zeros are holes")
  func holesChangeNothing() throws {
    let guest = QEMUCase.named("pc100-boot-mapped")
    let name = String(try guest.unpack(into: shop).split(separator: " ")[0].dropFirst())
    try shop.folder("holes")
    let copied = try #require(
      Program.run(["cp", "--sparse=always", shop[name], shop["holes/stream"]]))
    #expect(copied.status == 0)
    var said: [String] = []
    for stream in [name, "holes/stream"] {
      try shop.must("seal", "@\(stream) -o @sealed --force")
      let sealed = try #require(Program.run(["sha256sum", shop["sealed"]])).text
      let shown = try shop.must("inspect", "@\(stream) --ram-hashes").text
      said.append(sealed + shown)
    }
    #expect(said[0] == said[1])
  }
}
