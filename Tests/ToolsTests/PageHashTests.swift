import Cryptography
import JSON
import TestSupport
import Testing
import Wire

/// `svsm-mig-inspect --page-hashes`: a SHA-256 for each run of pages and each RAM block.
@Suite struct PageHashTests {
  private let shop: Workshop

  init() throws { shop = try Workshop() }

  private func shown(_ call: String) throws -> JSON {
    try shop.must("inspect", "\(call) --json --page-hashes").json
  }

  /// Whether each run has the hash of its part of `memory`, the content of the one block.
  private func expectRuns(
    _ runs: JSON?, at key: String, in memory: [UInt8], pageSize: Int = 4096
  ) throws {
    let runs = try #require(runs?.array)
    #expect(!runs.isEmpty)
    for run in runs {
      let start = try #require(Int(run[key]?.string?.dropFirst(2) ?? "", radix: 16))
      let end = start + pageSize * (try #require(run["pages"]?.int))
      #expect(
        try run["sha256"]?.string == Hex.encode(SHA256.hash(Array(memory[start..<end]))), "\(run)")
    }
  }

  @Test(
    "Of an SNP stream shared pages have one, private pages too, and with keys that of the content")
  func anSNPStreamHasHashes() throws {
    try shop.prepare("there")
    try shop.must(
      "guest",
      "create -o @guest --memory 512K --private-fraction 0.5 --seed 02 --secrets-page 0x40000000")
    try shop.must("save", "@guest -o @stream --to @there.offer --trust @root.pem")
    let memory = try shop.read("guest/ram-0.bin")
    let closed = try shown("@stream")
    #expect(closed["ramBlocks"]?.array?.first?["sha256"]?.isNull == true)
    #expect(
      closed["ramBlocks"]?.array?.first?["missingPages"] == closed["privatePages"]?["count"])
    try expectRuns(closed["sharedPages"]?["runs"], at: "offset", in: memory)
    let sealed = closed["privatePages"]?["runs"]?.array?.first?["sha256"]?.string
    let open = try shown("@stream --instance @there.svsm")
    try expectRuns(open["sharedPages"]?["runs"], at: "offset", in: memory)
    try expectRuns(open["privatePages"]?["runs"], at: "gpa", in: memory)
    #expect(
      sealed != nil && sealed != open["privatePages"]?["runs"]?.array?.first?["sha256"]?.string)
    #expect(
      try open["ramBlocks"]?.array?.first?["sha256"]?.string == Hex.encode(SHA256.hash(memory)))
  }

  @Test("Of a QEMU stream each run has that of its pages' last content, from a file and a pipe")
  func aStreamOfQEMUHasHashes() throws {
    try shop.write("stream", Fixture.read("qemu/pc72-boot-live/stream.xz"))
    try shop.must("guest", "export @stream -o @memory --block pc.ram")
    let memory = try shop.read("memory")
    let found = try shown("@stream")
    let runs = (found["sharedPages"]?["runs"]?.array ?? []).filter { $0["block"] == "pc.ram" }
    try expectRuns(.array(runs), at: "offset", in: memory)
    let piped = try shop.must("inspect", "- --json --page-hashes", input: shop["stream"]).json
    #expect(piped == found)
    #expect(
      found["ramBlocks"]
        == (try shop.must("inspect", "@stream --json --ram-hashes").json["ramBlocks"])
    )
  }

  @Test("Sizes are numbers, and can be added up")
  func sizesAreNumbers() throws {
    try shop.must(
      "guest", "create -o @guest --memory 64K --second-block 128K --secrets-page 0x100000000")
    let guest = try shop.must("guest", "show @guest --json").json
    let sizes = { (list: JSON?, key: String) in
      (list?.array ?? []).compactMap { $0[key]?.int }.reduce(0, +)
    }
    #expect(sizes(guest["ram"], "size") == 192 << 10 && sizes(guest["map"], "size") == 192 << 10)
    try shop.prepare("there")
    try shop.must("save", "@guest -o @stream --to @there.offer --trust @root.pem")
    let shown = try shop.must("inspect", "@stream --json").json
    #expect(sizes(shown["ramBlocks"], "usedLength") == 192 << 10)
    #expect(sizes(shown["guestMap"], "size") == 192 << 10)
    try shop.must("guest", "export @guest --all-blocks -o @blocks")
    let list = try JSON(parsing: shop.read("blocks/blocks.json"))
    #expect(sizes(list["blocks"], "size") == 192 << 10)
  }
}
