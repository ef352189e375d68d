import Errors
import Guest
import JSON
import TestSupport
import Testing
import Wire

/// What the real QEMU wrote, read by the tools.
@Suite struct QEMUStreamToolTests {
  private let shop: Workshop

  init() throws { shop = try Workshop() }

  private func inspect(_ call: String, status: Int32 = 0) throws -> JSON {
    let outcome = try shop.run("inspect", call + " --json")
    #expect(outcome.status == status, "\(outcome.errors)")
    return try outcome.json
  }

  @Test(arguments: QEMUCase.all) func memoryIsWhatItWas(guest: QEMUCase) throws {
    let found = try inspect(guest.unpack(into: shop) + " --ram-hashes --devices --sections")
    #expect(QEMUCase.blocks(in: found) == (try guest.blocks))
    #expect(found["complete"]?.bool == true)
    #expect(found["ramBlocks"]?.array?.allSatisfy { $0["missingPages"] == 0 } == true)
    #expect(found["footers"]?.bool == (guest.name != "pc2.0-boot"))
    // Only a stream without both says nothing of its devices.
    #expect((found["unread"] == nil) == (guest.name != "pc2.0-boot"))
  }

  @Test("Memory that is hashed while it comes is the memory that is put together first")
  func hashesDoNotDependOnTheWay() throws {
    for name in ["pc72-boot", "pc72-boot-live", "pc72-boot-live-xbzrle", "s390x-72-virtio"] {
      let guest = QEMUCase(name: name)
      let call = try guest.unpack(into: shop)
      let outcomes = try ["--jobs 1", "--jobs 2"].map {
        try shop.must("inspect", "\(call) --ram-hashes \($0)").text
      }
      // A pipe is read once, so that all of its memory is put together.
      let words = shop.words("inspect", "- --ram-hashes").joined(separator: " ")
      let piped = try #require(
        Program.run(["sh", "-c", "cat \(shop[String(call.dropFirst())]) | \(words)"]))
      #expect(piped.status == 0 && outcomes.allSatisfy { $0 == piped.text }, "\(name)")
    }
  }

  @Test(arguments: QEMUCase.all) func memoryIsImportedAsItWas(guest: QEMUCase) throws {
    let call = try guest.unpack(into: shop)
    try shop.must("guest", "create -o @other --memory 64K")
    try shop.must("guest", "import \(call) -o @guest\(guest.importOptions)")
    let imported = try GuestReader(bundle: shop["guest"]).description
    var blocks: Set<[String]> = []
    for (index, block) in imported.ramBlocks.enumerated() {
      blocks.insert([
        block.name, "\(block.size)",
        try Program.sha256(of: shop["guest/ram-\(index).bin"]),
      ])
    }
    #expect(blocks == (try guest.blocks))
    #expect(imported.vcpus.count == (guest.name.hasSuffix("smp2") ? 2 : 1))
  }

  @Test func countsAreQEMUs() throws {
    for name in ["pc100-boot", "pc100-boot-mapped", "pc72-boot-bgsnap", "pc2.4-boot"] {
      let guest = QEMUCase.named(name)
      let shown = try inspect(guest.unpack(into: shop))["sharedPages"]
      let counted = try guest.facts["query_migrate"]?["ram"]
      #expect(shown?["content"] == counted?["normal"], "\(name)")
      #expect(shown?["zero"] == counted?["duplicate"], "\(name)")
    }
  }

  @Test func whatIsNotDecodedIsNamed() throws {
    let bitmaps = try inspect(
      QEMUCase.named("pc72-boot-dirty-bitmaps").unpack(into: shop) + " --sections")
    #expect(bitmaps["sections"]?.array?.contains { $0["name"] == "dirty-bitmap" } == true)
    #expect(bitmaps["undescribed"] == ["dirty-bitmap 0"])
    #expect(bitmaps["commands"]?.array?.contains("postcopy-advise") == true)
    let postcopy = try inspect(QEMUCase.named("pc100-boot-postcopy").unpack(into: shop))
    #expect(
      postcopy["commands"]?.array?.compactMap(\.string).suffix(5)
        == ["packaged", "postcopy-listen", "ping", "postcopy-run", "ping"])
    #expect(postcopy["undescribed"]?.array?.contains("globalstate 0") == true)
    let old = try inspect(QEMUCase.named("pc2.0-boot").unpack(into: shop))
    #expect(old["unread"]?["section"] == "timer")
    #expect(old["machine"] == "")
    #expect(old["capabilities"] == [] && old["uuid"]?.isNull == true)
    let uuid = try inspect(QEMUCase.named("pc72-boot-uuid").unpack(into: shop))
    #expect(uuid["uuid"]?.string?.count == 32)
  }

  // MARK: Incomplete

  @Test func aCancelledMigrationIsRefusedWhereItEnds() throws {
    let bytes = try Fixture.read("qemu/pc72-boot-cancelled/stream.xz")
    try shop.write("cancelled", bytes)
    for options in ["", " --ram-hashes"] {
      let refusal = try inspect("@cancelled" + options, status: 65)["refusal"]
      #expect(refusal?["code"] == "STREAM-TRUNCATED")
      #expect(refusal?["offset"]?.int == bytes.count)
    }
    let shown = try inspect("@cancelled --ram-hashes --allow-incomplete")
    #expect(shown["complete"]?.bool == false)
    #expect(shown["shortfall"]?["code"] == "STREAM-TRUNCATED")
    #expect(shown["refusal"] == nil)
    let facts = try JSON(parsing: Fixture.read("qemu/pc72-boot-cancelled/case.json"))
    #expect(shown["ramBlocks"]?.array?.count == facts["ram_blocks"]?.array?.count)
    try shop.run("guest", "import @cancelled -o @guest").requireRefusal(.streamTruncated)
    #expect(!shop.exists("guest"))
  }

  @Test func pagesOfAChannelThatIsNotGivenAreMissing() throws {
    let guest = QEMUCase.named("q35-72-boot-multifd-zstd")
    let call = try guest.unpack(into: shop)
    let words = call.split(separator: " ").dropLast(2).joined(separator: " ")
    let shown = try inspect(words + " --ram-hashes", status: 65)
    #expect(shown["refusal"]?["code"] == "RAM-MISSING")
    // What is whole is shown; what is not has no hash.
    let blocks = try guest.blocks
    for block in shown["ramBlocks"]?.array ?? [] {
      let hash = block["sha256"]?.string
      #expect((hash == nil) == (block["missingPages"] != 0))
      if let hash { #expect(blocks.contains { $0[2] == hash }) }
    }
    #expect(try inspect(words, status: 65)["complete"]?.bool == false)
    let allowed = try inspect(words + " --ram-hashes --allow-incomplete")
    #expect(allowed["shortfall"]?["code"] == "RAM-MISSING")
    try shop.run("guest", "import \(words) -o @guest").requireRefusal(.ramMissing)
    #expect(!shop.exists("guest"))
  }

  @Test func aWrongChannelIsRefused() throws {
    let call = try QEMUCase.named("q35-72-boot-multifd-zstd").unpack(into: shop)
    let words = call.split(separator: " ").map(String.init)
    try shop.run("inspect", "\(words[0]) --channel \(words[0])").requireRefusal(.channelSyntax)
    try shop.run("inspect", "\(call) --channel \(words[2])").requireRefusal(.channelSyntax)
    try shop.run("inspect", "\(words[2])").requireRefusal(.streamMagic)
    try shop.run("inspect", "\(words[0]) --channel @missing").requireRefusal(.inputOpen)
    var channel = try shop.read(String(words[2].dropFirst()))
    // The frame of zstd begins with these.
    let magic: [UInt8] = [0x28, 0xB5, 0x2F, 0xFD]
    let frame = try #require(
      channel.indices.first { channel[$0...].prefix(4).elementsEqual(magic) })
    channel[frame] ^= 0x55
    try shop.write("damaged", channel)
    let damaged = try inspect(
      "\(words[0]) --channel @damaged --channel \(words[4]) --ram-hashes", status: 65)
    #expect(damaged["refusal"]?["code"] == "CHANNEL-DATA")
    #expect(damaged["refusal"]?["section"]?.string?.hasSuffix("/damaged") == true)
  }

  // MARK: Where a stream begins

  @Test func aStreamFurtherInIsPointedOut() throws {
    let path = try QEMUCase.named("pc100-boot-offset").unpack(into: shop)
      .split(separator: " ")[0]
    let refusal = try inspect("\(path)", status: 65)["refusal"]
    #expect(refusal?["code"] == "STREAM-MAGIC")
    #expect(refusal?["expected"]?.string?.hasSuffix("--offset 0x1234") == true)
    #expect(try inspect("\(path) --offset 0x1234")["streamOffset"] == 0x1234)
    #expect(try inspect("\(path) --offset 0x1233", status: 65)["refusal"]?["offset"] == 0x1233)
    let beyond = try shop.run("inspect", "\(path) --offset 1T")
    beyond.requireRefusal(.streamEmpty)
    // Offsets are the file's, from a pipe too.
    let piped = try shop.run(
      "inspect", "- --offset 0x1234 --json --sections", input: shop.words("\(path)")[0])
    #expect(try piped.json == inspect("\(path) --offset 0x1234 --sections"))
  }

  @Test func anSNPStreamTakesNoneOfThis() throws {
    try shop.write("snp", Fixture.read("golden/tiny/stream.mig"))
    try shop.write("moved", [1, 2, 3] + Fixture.read("golden/tiny/stream.mig"))
    try shop.run("inspect", "@moved --offset 3").requireRefusal(.streamKind)
  }

  @Test func mappedRAMNeedsAFile() throws {
    let path = try QEMUCase.named("pc100-boot-mapped").unpack(into: shop)
    let run = try #require(
      Program.pipe(["cat"] + shop.words(path), into: shop.words("inspect", "-")))
    run.second.requireRefusal(.inputKind)
  }

  /// The first bytes in a pipe whose writer stays and has sent half a KiB more, in which the session of
  /// an SNP stream with a damaged front would begin: the code.
  @Test(
    arguments: [
      ("abcd", ErrorCode.streamMagic), ("QEVM\\0\\0\\0\\2", .streamVersion),
      ("QEVM\\0\\0\\0\\3\\377", .sectionType), ("QEVM\\0\\0\\0\\3\\7\\1\\0\\0\\0", .configuration),
      ("Librarian", .streamMagic),
    ], ["inspect", "verify", "seal"])
  func anOpenPipeIsRefusedAtOnce(first: (bytes: String, code: ErrorCode), tool: String) throws {
    let script =
      #"mkfifo "$1"; exec 3<>"$1"; { printf "$2"; head -c 512 /dev/zero; } >&3; p="$1"; shift 2; exec timeout 20 "$@" <"$p""#
    let words = shop.words(tool, tool == "seal" ? "- -o @sealed" : "-")
    let run = try #require(
      Program.run(["sh", "-c", script, "sh", shop["pipe"], first.bytes] + words))
    run.requireRefusal(first.code)
  }

  /// First bytes in hex, and what they are called.
  @Test(arguments: [
    ("7f454c46", "an ELF file: a core has a guest's memory, and no stream"),
    ("454d694c", "a LiME dump: it has a guest's memory, and no stream"),
    ("514649fb", "a qcow2 image"),
    ("11223344", "a multifd channel; the main channel comes first"),
  ])
  func aForeignFileIsCalledByName(magic: String, name: String) throws {
    try shop.write("foreign", (try #require(Hex.decode(magic))) + [UInt8](repeating: 7, count: 99))
    let refusal = try inspect("@foreign", status: 65)["refusal"]
    #expect(refusal?["code"] == "STREAM-MAGIC")
    #expect(refusal?["got"]?.string == "\(magic): \(name)")
    try shop.run("guest", "import @foreign --format qemu -o @guest").requireRefusal(.streamMagic)
  }

  // MARK: The temporary file

  @Test func theTemporaryFileLeavesNothing() throws {
    // Pages of a guest that ran come twice.
    let call = try QEMUCase.named("pc72-boot-live").unpack(into: shop) + " --ram-hashes --quiet"
    try shop.folder("space")
    let before = try shop.names
    func run(_ folder: String) -> Program.Outcome? {
      Program.run(["env", "TMPDIR=\(shop[folder])"] + shop.words("inspect", call))
    }
    #expect(run("space")?.status == 0)
    #expect(try shop.names == before)
    #expect(try shop.names(in: "space").isEmpty)
    try #require(run("missing")).requireRefusal(.outputCreate)
  }

  @Test func standardInputIsOneInput() throws {
    #expect(try shop.run("inspect", "- --channel -").status == 64)
    #expect(try shop.run("guest", "import x -o y --channel - --channel -").status == 64)
    #expect(try shop.run("guest", "import x -o y --format raw --offset 1").status == 66)
    try shop.write("raw", [UInt8](repeating: 0, count: 4096))
    #expect(try shop.run("guest", "import @raw -o @y --format raw --offset 1").status == 64)
  }

  // MARK: From a file and from a pipe

  /// A device's section that is a byte longer than described: every tool says so, at one byte.
  @Test(
    arguments: [
      "verify -", "inspect -", "seal - -o @sealed", "guest import - --format qemu -o @guest",
    ])
  func aSectionOfAnotherLengthIsRefused(call: String) throws {
    var bytes = try Fixture.read("qemu/pc72-bios-reset/stream.xz")
    bytes.insert(0x55, at: 0x87a59)
    try shop.write("longer", bytes)
    let tool = String(call.prefix { $0 != " " })
    let words = shop.words(tool, String(call.drop { $0 != " " }))
    let file = words.map { $0 == "-" ? shop["longer"] : $0 }
    let piped = try #require(Program.pipe(["cat", shop["longer"]], into: words)).second
    for outcome in [try #require(Program.run(file)), piped] {
      outcome.requireRefusal(.vmdescriptionMismatch)
      #expect(outcome.errors.contains(" byte 0x87a5a"))
    }
    #expect(!shop.exists("sealed") && !shop.exists("guest"))
  }

  /// Rows: name and length of a block; the code.
  @Test(
    arguments: [
      ([0xC3, 0x28], 0x1000, .ramBlock), (Array("pc.ram".utf8), 1 << 52, .ramList),
    ] as [([UInt8], UInt64, ErrorCode)])
  func aBlockThatCannotBeMadeIsRefusedAtItsList(
    name: [UInt8], length: UInt64, code: ErrorCode
  ) throws {
    var bytes = Self.stream(block: "pc.ram")
    let list = try #require(bytes.firstRange(of: [6] + Array("pc.ram".utf8)))
    var entry = [UInt8(name.count)] + name
    for shift in stride(from: 56, through: 0, by: -8) {
      entry.append(UInt8(length >> shift & 0xFF))
    }
    var total: [UInt8] = []
    for shift in stride(from: 56, through: 0, by: -8) {
      total.append(UInt8((length | 4) >> shift & 0xFF))
    }
    bytes.replaceSubrange(list.lowerBound - 8..<list.upperBound + 8, with: total + entry)
    try shop.write("stream", bytes)
    let outcome = try shop.run("guest", "import @stream -o @guest --json")
    let refusal = try shop.run("guest", "import @stream -o @guest")
    refusal.requireRefusal(code)
    #expect(refusal.errors.contains("byte 0x\(String(list.lowerBound + entry.count, radix: 16))"))
    #expect(outcome.status != 0 && !shop.exists("guest"))
  }

  // MARK: Names

  @Test(arguments: ["../../../escape", "/tmp/escape", "a/b", ".", ".."])
  func aNameIsNeverAPath(name: String) throws {
    let bytes = Self.stream(block: name)
    try shop.write("stream", bytes)
    try shop.must("guest", "create -o @other --memory 64K")
    let before = try shop.names
    let shown = try inspect("@stream --ram-hashes")
    #expect(shown["ramBlocks"]?.array?.first?["name"]?.string == name)
    #expect(try shop.names == before)
    try shop.must("guest", "import @stream -o @guest --vmsa @other/vcpu-0.vmsa")
    #expect(try shop.names == (before + ["guest"]).sorted())
    #expect(
      try shop.names(in: "guest") == [
        "guest.json", "machine-state.bin", "page-states.bin", "ram-0.bin", "vcpu-0.vmsa",
      ])
  }

  /// One block of one page.
  private static func stream(block: String) -> [UInt8] {
    func text(_ text: String) -> [UInt8] { [UInt8(text.utf8.count)] + Array(text.utf8) }
    var bytes = Array("QEVM".utf8) + [0, 0, 0, 3, 7, 0, 0, 0] + text("pc-q35-7.2")
    bytes += [1, 0, 0, 0, 3] + text("ram") + [0, 0, 0, 0, 0, 0, 0, 4]
    bytes += [0, 0, 0, 0, 0, 0, 0x10, 0x04] + text(block) + [0, 0, 0, 0, 0, 0, 0x10, 0]
    bytes += [0, 0, 0, 0, 0, 0, 0, 0x08] + text(block) + [UInt8](repeating: 0xA5, count: 4096)
    return bytes + [0, 0, 0, 0, 0, 0, 0, 0x10, 0x7E, 0, 0, 0, 3, 0]
  }
}
