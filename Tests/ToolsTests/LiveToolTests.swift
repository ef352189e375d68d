import Errors
import Foundation
import JSON
import TestSupport
import Testing

/// Streams that pass through both tools page by page, as between two QEMUs (`--live`).
@Suite struct LiveToolTests {
  private let shop: Workshop

  init() throws {
    shop = try Workshop()
    try shop.prepare("there")
  }

  private let save = "--input-format qemu --live --to @there.offer --trust @root.pem"
  private let load = "- --instance @there.svsm --trust @root.pem --live --output-format qemu -o -"

  /// Unpacks the stream of a case.
  private func stream(_ name: String) throws -> String {
    try QEMUCase(name: name).unpack(into: shop)
  }

  /// Passes a stream through both tools, and keeps the SNP stream as `snp` and what comes out as
  /// `again`.
  private func pass(_ call: String, _ options: String) throws {
    try shop.must("save", "\(call) \(save) \(options) -o @snp --record @recording")
    let outcome = try shop.run("load", load, input: shop["snp"])
    try #require(outcome.status == 0, "\(outcome.errors)")
    try shop.write("again", outcome.output)
  }

  @Test(
    "A guest arrives as it was, with all, some and none of its memory private",
    arguments: [
      ("pc100-boot", "all"), ("pc72-boot-devices", "all"), ("pc72-boot-live", "none"),
      ("pc72-boot-live-xbzrle", "0x100000-0x3fffff"), ("pc72-boot-live-xbzrle", "all"),
      ("pc72-boot-dirty-bitmaps", "all"), ("pc72-tiny-compress", "none"),
      ("q35-72-tiny-smp2", "0x200000-0x1ffffff"),
    ])
  func aGuestArrives(name: String, private ranges: String) throws {
    let call = try stream(name)
    try pass(call, "--private \(ranges)")
    func inspect(_ call: String) throws -> JSON {
      try shop.must("inspect", call + " --ram-hashes --devices --json").json
    }
    let (before, after) = (try inspect(call), try inspect("@again"))
    #expect(QEMUCase.blocks(in: after) == (try QEMUCase.named(name).blocks))
    #expect(devices(of: after) == devices(of: before))
    #expect(after["complete"]?.bool == true)
    #expect(try shop.read("recording") == shop.read("snp"))
  }

  /// Name, instance and digest of the body of each device section.
  private func devices(of json: JSON) -> [[String]] {
    (json["devices"]?.array ?? []).map { device in
      ["name", "sha256"].map { device[$0]?.string ?? "" } + ["\(device["instanceID"]?.uint ?? 0)"]
    }
  }

  @Test("What was carried live is a stream as any other, with an epoch for each round")
  func aRecordingIsAStream() throws {
    let call = try stream("pc72-boot-live")
    try shop.must("guest", "import \(call) -o @source --private all")
    try shop.must("save", "\(call) \(save) --private all -o @snp")
    try shop.must("verify", "@snp --instance @there.svsm --trust @root.pem")
    let epochs = try shop.must("inspect", "@snp --json").json["epochs"]?.array?.count ?? 0
    #expect(epochs >= 3)
    try shop.must("load", "@snp --instance @there.svsm --trust @root.pem -o @loaded")
    try shop.requireSame("source", "loaded")
  }

  @Test(
    "A delta is against what came last, also where that is zeros that came before or after content",
    arguments: ["all", "none"])
  func aDeltaIsAgainstWhatCameLast(private ranges: String) throws {
    var call = try stream("pc72-boot-live-xbzrle")
    let sections = try shop.must("inspect", "\(call) --sections --json").json["sections"]?.array
    let end = try #require(sections?.first { $0["type"]?.string == "END" }?["offset"]?.uint)
    let (zero, page, delta) = (UInt8(0x02), UInt8(0x08), UInt8(0x40))
    /// The records of one page; the first of a section names the block.
    func record(_ number: UInt8, _ flag: UInt8, _ content: [UInt8]) -> [UInt8] {
      var bytes: [UInt8] = [0, 0, 0, 0, 0, number, 0, flag, 6]
      bytes += Array("pc.ram".utf8)
      return bytes + content
    }
    // One byte at the start, and the length of two; then no byte that stays, and four that change.
    let change: [UInt8] = [1, 0, 6, 0, 4, 0x6D, 0x61, 0x64, 0x65]
    func content(_ byte: UInt8) -> [UInt8] { [UInt8](repeating: byte, count: 4096) }
    var added: [UInt8] = [2, 0, 0, 0, 2]
    for number in [0x71, 0x72, 0x73] as [UInt8] {
      for _ in 0..<2 { added += record(number, zero, [0]) }
      if number > 0x71 {
        added += record(number, page, content(0x5A))
        added += record(number, zero, [0])
      }
      if number > 0x72 { added += record(number, page, content(0x3C)) }
      added += record(number, delta, change)
    }
    var bytes = try shop.read("pc72-boot-live-xbzrle-stream")
    added += [0, 0, 0, 0, 0, 0, 0, 0x10, 0x7E, 0, 0, 0, 2]
    bytes.insert(contentsOf: added, at: Int(end))
    call = shop["changed"]
    try shop.write("changed", bytes)
    try pass(call, "--private \(ranges)")
    try shop.must("guest", "export @again --block pc.ram -o @arrived")
    let memory = try shop.read("arrived")
    for (number, rest) in [(0x71, 0), (0x72, 0), (0x73, 0x3C)] as [(Int, UInt8)] {
      var expected = content(rest)
      expected.replaceSubrange(0..<4, with: change.suffix(4))
      #expect(Array(memory[number << 16..<number << 16 + 4096]) == expected)
    }
  }

  @Test("The bytes do not depend on the number of threads")
  func jobsChangeNothing() throws {
    let call = try stream("pc72-boot-live-xbzrle")
    for jobs in [1, 2] {
      try shop.must(
        "save",
        "\(call) \(save) --private 0x100000-0x3fffff --seed 0102 --jobs \(jobs) -o @jobs\(jobs)")
    }
    #expect(try shop.read("jobs1") == shop.read("jobs2"))
  }

  @Test("An SVSM that reads the memory itself sends what it holds, whatever the VMM says")
  func memoryIsWhatCounts() throws {
    let call = try stream("pc72-boot")
    try shop.must("guest", "import \(call) -o @source --private all")
    try shop.must("guest", "export @source --block pc.ram -o @was")
    var memory = try shop.read("was")
    memory[0x200123] ^= 0xFF
    try shop.write("memory", memory)
    let outcome = try shop.must(
      "save", "\(call) \(save) --private all --memory pc.ram=\(shop["memory"]) -o @snp")
    #expect(outcome.errors.contains("memory compared"))
    try shop.must("load", "@snp --instance @there.svsm --trust @root.pem -o @loaded")
    try shop.must("guest", "export @loaded --block pc.ram -o @is")
    #expect(try shop.read("is") == memory)
  }

  @Test("Memory that is not the guest's is noticed, and a block has one file")
  func memoryIsTheGuests() throws {
    let call = try stream("pc72-boot")
    let size = try #require(
      QEMUCase.named("pc72-boot").blocks.first { $0[0] == "pc.ram" }.flatMap { Int($0[1]) })
    try shop.write("other", [UInt8](repeating: 0x5A, count: size))
    let other = "--memory pc.ram=\(shop["other"])"
    let outcome = try shop.run("save", "\(call) \(save) --private all \(other) -o @snp")
    outcome.requireRefusal(.ramBlock)
    #expect(outcome.errors.contains("the guest was not handed over"))
    let twice = try shop.run("save", "\(call) \(save) --private all \(other) \(other) -o @snp")
    twice.requireRefusal(.ramBlock)
    #expect(twice.errors.contains("two files"))
    let none = try shop.must("save", "\(call) \(save) --private none \(other) -o @snp")
    #expect(!none.errors.contains("compared"))
  }

  @Test("Pages that the guest has not accepted arrive as zeros, so that the stream is whole")
  func whatNeverCameIsZero() throws {
    try shop.must(
      "guest", "create -o @g0 --memory 4M --machine pc-i440fx-7.2 --seed 01 --private-fraction 1")
    try shop.must(
      "guest",
      "create -o @g1 --memory 4M --machine pc-i440fx-7.2 --seed 01 --private-fraction 1 --round 1 "
        + "--converted-fraction 0.2")
    try shop.must("save", "@g0 --round @g1 --to @there.offer --trust @root.pem -o @snp")
    let outcome = try shop.run("load", load, input: shop["snp"])
    #expect(outcome.status == 0, "\(outcome.errors)")
    try shop.write("again", outcome.output)
    try shop.must("prepare", "--instance @rest.svsm --output @rest.offer")
    try shop.must("load", "@snp --instance @there.svsm --trust @root.pem --until epoch:2 -o @then")
    let shown = try shop.must("inspect", "@again --ram-hashes --json").json
    #expect(shown["complete"]?.bool == true)
    let block = try #require(shown["ramBlocks"]?.array?.first { $0["usedLength"]?.uint == 4 << 20 })
    #expect(block["sha256"]?.string == (try Program.sha256(of: shop["then/ram-0.bin"])))
  }

  @Test("Private memory in a block without a file is refused, and so is a file of another size")
  func memoryMustBeThere() throws {
    let call = try stream("pc72-boot")
    try shop.write("small", [UInt8](repeating: 0, count: 4096))
    let small = "--memory pc.ram=\(shop["small"])"
    try shop.run("save", "\(call) \(save) --private all \(small) -o @snp").requireRefusal(.ramBlock)
    let other = "--memory pc.bios=\(shop["small"])"
    try shop.run("save", "\(call) \(save) --private all \(other) -o @snp").requireRefusal(.ramBlock)
    #expect(!FileManager.default.fileExists(atPath: shop["snp"]))
  }

  @Test(
    "What cannot be carried live is refused by name",
    arguments: [
      ("pc100-boot-postcopy", ErrorCode.inputKind, "postcopy"),
      ("pc72-boot-ignore-shared", .inputKind, "x-ignore-shared"),
      ("pc2.0-boot", .inputKind, "configuration"),
      ("pc72-boot-cancelled", .streamTruncated, "if that still runs"),
    ])
  func whatCannotBeLiveIsRefused(name: String, code: ErrorCode, word: String) throws {
    let call = try stream(name)
    let outcome = try shop.run("save", "\(call) \(save) --private none -o @snp")
    outcome.requireRefusal(code)
    #expect(outcome.errors.contains(word))
    #expect(outcome.errors.contains("runs on"))
  }

  @Test(
    "A refusal before the first byte says that the guest runs on",
    arguments: [
      ("--to @there.offer", ErrorCode.certificateRoot),
      ("--to @there.offer --trust @root.pem --memory pc.ram=ROOT", ErrorCode.ramBlock),
      ("--to @root.pem --trust @root.pem", ErrorCode.offerSyntax),
      ("--to @there.offer --trust @root.pem --trace @root.pem --force", ErrorCode.outputSame),
    ])
  func anEarlyRefusalSaysWhereTheGuestIs(options: String, code: ErrorCode) throws {
    let call = try stream("pc72-boot")
    let outcome = try shop.run(
      "save",
      "\(call) --input-format qemu --live --private all -o @snp "
        + options.replacing("ROOT", with: shop["root.pem"]))
    outcome.requireRefusal(code)
    #expect(outcome.errors.contains("the guest runs on in its QEMU"))
  }

  @Test(
    "A recording replaces neither an input nor another output",
    arguments: [
      "-o @snp --record @snp", "-o @snp --record @there.offer --force",
      "-o @snp --record @here.svsm --force", "-o @snp --record @steps --trace @steps",
      "-o @here.svsm --force", "-o @root.pem --force",
    ])
  func aRecordingIsAFileOfItsOwn(options: String) throws {
    let call = try stream("pc72-boot")
    try shop.must("prepare", "--instance @here.svsm --output @here.offer")
    let before = try shop.read("here.svsm")
    for way in ["--live", ""] {
      try shop.run(
        "save",
        "\(call) \(save) --private all --from @here.svsm \(options)".replacing("--live", with: way)
      )
      .requireRefusal(.outputSame)
    }
    #expect(try shop.read("here.svsm") == before)
    try shop.must("save", "\(call) \(save) --private all -o @snp")
    let there = try shop.read("there.svsm")
    let load = "@snp --instance @there.svsm --trust @root.pem --force"
    for same in [
      "-o @out --record @out --output-format raw", "-o @out --record @there.svsm",
      "-o @out --record @steps --trace @steps",
    ] {
      try shop.run("load", "\(load) \(same)").requireRefusal(.outputSame)
    }
    #expect(try shop.read("there.svsm") == there)
  }

  @Test("Without the commit and the seal QEMU gets memory, and neither a device nor an end")
  func theEndIsHeldBack() throws {
    let call = try stream("pc100-boot")
    try shop.must("save", "\(call) \(save) --private all -o @snp")
    let whole = try shop.read("snp")
    var flipped = whole
    flipped[whole.count - 40] ^= 1
    for (name, bytes) in [("cut", Array(whole.dropLast(300_000))), ("flipped", flipped)] {
      try shop.write(name, bytes)
      let outcome = try shop.run("load", load, input: shop[name])
      #expect(outcome.status == 65, "\(name): \(outcome.errors)")
      #expect(outcome.output.count > 1 << 20)
      #expect(outcome.output.firstRange(of: Array("\u{3}cpu".utf8)) == nil)
      try shop.write("partial", outcome.output)
      try shop.run("inspect", "@partial").requireRefusal(.streamTruncated)
    }
    // The instance is as it was: the whole stream can still be loaded.
    #expect(try shop.run("load", load, input: shop["snp"]).status == 0)
    try shop.run("load", load, input: shop["snp"]).requireRefusal(.instanceUsed)
  }

  @Test(
    "A load that is refused before the first page lets a waiting QEMU notice, and says who has the guest"
  )
  func anEarlyRefusalEndsQEMU() throws {
    let call = try stream("pc72-boot")
    try shop.must("save", "\(call) \(save) --private all -o @snp")
    try shop.must("prepare", "--instance @other.svsm --output @other.offer")
    let other = load.replacing("@there.svsm", with: "@other.svsm")
    let outcome = try shop.run("load", other, input: shop["snp"])
    outcome.requireRefusal(.sessionRecipient)
    #expect(outcome.output == Array("QEVM".utf8))
    #expect(outcome.errors.contains("no guest was restored"))
    let empty = try shop.run("load", load)
    empty.requireRefusal(.streamEmpty)
    #expect(empty.output == Array("QEVM".utf8))
    // What was restored once may run here.
    #expect(try shop.run("load", load, input: shop["snp"]).status == 0)
    let again = try shop.run("load", load, input: shop["snp"])
    again.requireRefusal(.instanceUsed)
    #expect(!again.errors.contains("no guest was restored"))
  }

  @Test("A live load does not write a file")
  func aFileIsNoQEMU() throws {
    let call = try stream("pc72-boot")
    try shop.must("save", "\(call) \(save) --private all -o @snp")
    let outcome = try shop.run("load", load, input: shop["snp"], output: .file(shop["out"]))
    outcome.requireRefusal(.outputCreate)
    #expect(try shop.read("out").isEmpty)
  }

  @Test("A recording that cannot be written ends a load before the guest is restored")
  func aLoadNeedsItsRecording() throws {
    let call = try stream("pc72-boot")
    try shop.must("save", "\(call) \(save) --private all -o @snp")
    let before = try shop.read("there.svsm")
    let outcome = try shop.run("load", load + " --record /dev/full --force", input: shop["snp"])
    outcome.requireRefusal(.writeFailed)
    #expect(outcome.errors.contains("no guest was restored"))
    #expect(outcome.output.count < 2 << 20)
    #expect(try shop.read("there.svsm") == before)
  }

  @Test("A refusal after QEMU has paused the guest says that it is not handed over, and what to do")
  func aPausedGuestIsSaid() throws {
    // The CMOS, which tells where memory lies, comes after the memory.
    let call = try stream("q35-72-tiny-smp2")
    var bytes = try shop.read("q35-72-tiny-smp2-stream")
    let name = Array("\u{b}mc146818rtc".utf8)
    let at = try #require(bytes.firstRange(of: name)).upperBound + 8
    // Memory above 16 MiB, in units of 64 KiB.
    bytes[at + 0x34] ^= 0x10
    try shop.write("moved", bytes)
    let outcome = try shop.run(
      "save",
      "\(call.replacing("q35-72-tiny-smp2-stream", with: "moved")) \(save) --private all -o @snp")
    outcome.requireRefusal(.guestMap)
    #expect(outcome.errors.contains("the guest was not handed over"))
    #expect(!outcome.errors.contains("runs on in its QEMU"))
  }

  @Test("A machine that the stream does not name is refused, live and at rest")
  func aStreamNamesItsMachine() throws {
    let call = try stream("pc72-boot")
    let other = "--machine pc-q35-7.2 --private all -o"
    try shop.run("save", "\(call) \(save) \(other) @snp").requireRefusal(.configuration)
    try shop.run("guest", "import \(call) \(other) @guest").requireRefusal(.configuration)
  }

  @Test("A full disk behind a recording ends the migration before the guest is handed over")
  func aRecordingThatFailsIsNoticed() throws {
    let call = try stream("pc100-boot")
    try shop.must("prepare", "--instance @here.svsm --output @here.offer")
    let before = try shop.read("here.svsm")
    let outcome = try shop.run(
      "save", "\(call) \(save) --private all --from @here.svsm -o @snp --record /dev/full --force")
    outcome.requireRefusal(.writeFailed)
    #expect(outcome.errors.contains("runs on"))
    #expect(try shop.read("here.svsm") == before)
  }

  @Test(
    "Options that belong to a guest at rest are wrong usage",
    arguments: [
      "save @none --live --round @other --to @there.offer -o @snp",
      "save @none --live --input-format raw --to @there.offer -o @snp",
      "load @none --live --instance @there.svsm -o @guest",
      "load @none --live --output-format bundle --instance @there.svsm -o @guest",
    ])
  func optionsMustFit(line: String) throws {
    let words = line.split(separator: " ", maxSplits: 1)
    #expect(try shop.run(String(words[0]), String(words[1])).status == 64)
  }
}
