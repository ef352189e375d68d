import Errors
import Guest
import JSON
import TestSupport
import Testing

/// `svsm-mig-seal`, and what the other tools make of its streams.
@Suite struct SealTests {
  private let shop: Workshop

  init() throws { shop = try Workshop() }

  /// All that begin at the first byte of a file and whose end can be found.
  static let cases = QEMUCase.all.filter {
    !["libvirt72-pc-raw", "pc100-boot-offset", "pc2.0-boot"].contains($0.name)
  }

  /// Unpacks a stream and seals it to `sealed`.
  /// - Returns: the words that name its channels.
  private func seal(_ guest: QEMUCase, options: String = "") throws -> String {
    let words = try guest.unpack(into: shop).split(separator: " ").map(String.init)
    try shop.must("seal", "\(words[0]) -o @sealed\(options)")
    return words.dropFirst().map { " \($0)" }.joined()
  }

  private func report(_ call: String, status: Int32 = 0) throws -> JSON {
    let outcome = try shop.run("verify", call + " --json")
    #expect(outcome.status == status, "\(outcome.errors)")
    return try outcome.json
  }

  private func outcome(_ report: JSON, _ name: String) -> String? {
    report["properties"]?.array?.first { $0["name"]?.string == name }?["outcome"]?.string
  }

  // MARK: What it makes

  @Test(arguments: cases) func aSealedStreamOfQEMUIsProvenAndShown(guest: QEMUCase) throws {
    let channels = try seal(guest)
    let verified = try report("@sealed" + channels)
    for name in ["structure", "order", "seal"] { #expect(outcome(verified, name) == "proven") }
    #expect(verified["notCheckable"] == 1)
    let inspected = try shop.must("inspect", "@sealed\(channels) --ram-hashes --json").json
    #expect(inspected["complete"]?.bool == true)
    #expect(QEMUCase.blocks(in: inspected) == (try guest.blocks))
    #expect(inspected["seal"]?["signer"]?.isNull == true)
    #expect(inspected["seal"]?["chunks"]?.int ?? 0 > 0)
  }

  @Test(arguments: ["pc72-bios-reset", "pc100-boot-mapped", "pc72-boot-novmdesc"])
  func aSealedStreamIsImportedAsTheOther(name: String) throws {
    let guest = QEMUCase.named(name)
    _ = try seal(guest)
    try shop.must("guest", "create -o @other --memory 64K")
    for (stream, bundle) in [("\(name)-stream", "plain"), ("sealed", "guest")] {
      try shop.must("guest", "import @\(stream) -o @\(bundle)\(guest.importOptions)")
    }
    try shop.requireSame("plain", "guest")
  }

  @Test func aPipeGivesTheSame() throws {
    _ = try seal(.named("pc100-boot"))
    let run = try #require(
      Program.pipe(
        ["cat", shop["pc100-boot-stream"]], into: shop.words("seal", "- -o - --jobs 1")))
    #expect(run.second.status == 0, "\(run.second.errors)")
    #expect(try run.second.output == shop.read("sealed"))
    let verify = try #require(
      Program.pipe(["cat", shop["sealed"]], into: shop.words("verify", "-")))
    #expect(verify.second.text.contains("\nproven         seal "))
  }

  @Test func theSealDoesNotDependOnTheThreads() throws {
    for jobs in 1...3 {
      _ = try seal(.named("pc100-boot-mapped"), options: " --force --jobs \(jobs)")
      try shop.write("sealed-\(jobs)", shop.read("sealed"))
    }
    #expect(try shop.read("sealed-1") == shop.read("sealed-2"))
    #expect(try shop.read("sealed-1") == shop.read("sealed-3"))
    #expect(try shop.mode("sealed") == 0o600)
  }

  @Test func whatTheSealDoesNotCoverIsSaid() throws {
    let words = try QEMUCase.named("q35-72-boot-multifd-zstd").unpack(into: shop)
    let main = words.split(separator: " ")[0]
    let multifd = try shop.must("seal", "\(main) -o @sealed")
    #expect(multifd.errors.contains("pages of the guest are not in this stream"))
    #expect(multifd.errors.contains("not deliberate changes"))
    try shop.run("verify", "@sealed").requireRefusal(.ramMissing)
    let whole = try shop.must("seal", words.split(separator: " ")[0] + " -o @again --quiet")
    #expect(whole.errors.isEmpty && whole.output.isEmpty)
  }

  // MARK: Signed

  @Test func theSignerIsKnownByItsInstance() throws {
    try shop.prepare("signer", chip: 1)
    try shop.prepare("other")
    let instance = try shop.read("signer.svsm")
    _ = try seal(.named("pc72-bios-reset"), options: " --instance @signer.svsm")
    #expect(try shop.read("signer.svsm") == instance)
    #expect(try outcome(report("@sealed --instance @signer.svsm"), "seal-signer") == "proven")
    let unknown = try report("@sealed")
    #expect(outcome(unknown, "seal-signer") == "not-checkable")
    let fingerprint = try #require(unknown["signerSHA256"]?.string)
    #expect(
      try shop.must("inspect", "@sealed").text.contains("the key with SHA-256 \(fingerprint)"))
    try shop.run("verify", "@sealed --instance @other.svsm").requireRefusal(.sealSigner)
    let bare = try shop.run("verify", "@pc72-bios-reset-stream --instance @signer.svsm")
    bare.requireRefusal(.sealMissing)
    // What can be read without a seal is said all the same.
    for row in ["structure", "order"] {
      #expect(
        try outcome(report("@pc72-bios-reset-stream --instance @signer.svsm", status: 65), row)
          == "proven")
    }
  }

  /// Sealing is no migration.
  @Test func anInstanceThatHasServedStillSigns() throws {
    try shop.makeGuest(memory: "64K")
    try shop.prepare("here", chip: 1)
    try shop.prepare("there")
    try shop.must(
      "save", "@guest -o @stream --from @here.svsm --to @there.offer --trust @root.pem")
    let used = try shop.read("here.svsm")
    _ = try seal(.named("pc72-bios-reset"), options: " --instance @here.svsm")
    #expect(try shop.read("here.svsm") == used)
    #expect(try outcome(report("@sealed --instance @here.svsm"), "seal-signer") == "proven")
  }

  // MARK: Damage

  @Test func everyDamagedChunkIsNamed() throws {
    _ = try seal(.named("pc100-boot-mapped"))
    let whole = try shop.read("sealed")
    // Pages of mapped-ram are never looked at, but by the seal.
    for places in [[0x12_3456, 0x80_0000], [0x1FF_FFFF]] {
      var bytes = whole
      for place in places { bytes[place] ^= 1 }
      try shop.write("damaged", bytes)
      #expect(try report("@damaged", status: 65)["refusal"]?["code"] == "SEAL-CHUNK")
      let chunks = try report("@damaged", status: 65)["properties"]?.array?
        .first { $0["name"] == "seal" }?["refutations"]?.array?.map { $0["offset"]?.int }
      #expect(chunks == places.map { $0 & ~0x3FFFF })
    }
    try shop.write("cut", Array(whole.dropLast(100)))
    try shop.run("verify", "@cut").requireRefusal(.streamTruncated)
  }

  /// Rows: fixture, options, code.
  @Test(arguments: [
    ("qemu/libvirt72-pc-raw/image.xz", ErrorCode.streamKind),
    ("qemu/pc100-boot-offset/stream.xz", .streamMagic),
    ("qemu/pc2.0-boot/stream.xz", .sectionLength),
    ("qemu/pc72-boot-cancelled/stream.xz", .streamTruncated),
    ("qemu/pc100-boot-multifd-none/multifd-0.xz", .streamMagic),
    ("golden/tiny/stream.mig", .streamKind), ("golden/root.pem", .streamMagic),
  ])
  func whatIsNoPlainStreamIsNotSealed(fixture: String, code: ErrorCode) throws {
    let bytes = try Fixture.read(fixture)
    try shop.write("input", bytes)
    let outcome = try shop.run("seal", "@input -o @sealed")
    outcome.requireRefusal(code)
    if code == .streamTruncated {
      #expect(outcome.errors.contains("byte 0x" + String(bytes.count, radix: 16)))
    }
    #expect(try shop.names == ["input"])
  }

  @Test func aStreamIsSealedOnce() throws {
    _ = try seal(.named("pc72-bios-reset"))
    let before = try shop.names
    try shop.run("seal", "@sealed -o @again").requireRefusal(.sealPresent)
    try shop.run("seal", "@pc72-bios-reset-stream -o @sealed").requireRefusal(.outputExists)
    try shop.run("seal", "@sealed -o @sealed --force").requireRefusal(.outputSame)
    try shop.run("seal", "@missing -o @again").requireRefusal(.inputOpen)
    try shop.run("seal", "- -o @again").requireRefusal(.streamEmpty)
    try shop.run("seal", "@sealed -o @again --instance @sealed").requireRefusal(.inputKind)
    #expect(try shop.names == before)
    let mapped = try QEMUCase.named("pc100-boot-mapped").unpack(into: shop)
    let piped = Program.pipe(["cat"] + shop.words(mapped), into: shop.words("seal", "- -o @again"))
    try #require(piped).second.requireRefusal(.inputKind)
  }

  // MARK: Verifying what others saved

  @Test(arguments: QEMUCase.all) func aStreamOfQEMUIsVerifiedAsFarAsItGoes(guest: QEMUCase) throws {
    let verified = try report(guest.unpack(into: shop))
    let isOld = guest.name == "pc2.0-boot"
    #expect(verified["kind"] == "qemu")
    #expect(verified["proven"]?.int == (isOld ? 0 : 2))
    #expect(outcome(verified, "structure") == (isOld ? "not-checkable" : "proven"))
    #expect(outcome(verified, "seal") == "not-checkable")
  }

  @Test func whatQEMUDidNotFinishIsRefusedWhereItEnds() throws {
    let bytes = try Fixture.read("qemu/pc72-boot-cancelled/stream.xz")
    try shop.write("cancelled", bytes)
    let refused = try report("@cancelled", status: 65)
    let refusal = refused["properties"]?.array?.compactMap { $0["refutations"]?.array?.first }.first
    #expect(refusal?["code"] == "STREAM-TRUNCATED")
    #expect(refusal?["offset"]?.int == bytes.count)
    var image = try Fixture.read("qemu/libvirt72-pc-raw/image.xz")
    image.replaceSubrange(12..<16, with: Array("Part".utf8))
    try shop.write("part", image)
    try shop.run("verify", "@part").requireRefusal(.imagePartial)
    let words = try QEMUCase.named("q35-72-boot-multifd-zstd").unpack(into: shop)
    try shop.run("verify", "\(words.split(separator: " ")[0])").requireRefusal(.ramMissing)
  }

  /// A sealed stream in another file: chunks are counted from its own first byte.
  @Test func aSealedStreamMayLieFurtherIn() throws {
    _ = try seal(.named("pc72-bios-reset"))
    try shop.write("moved", [UInt8](repeating: 7, count: 0x1234) + shop.read("sealed"))
    #expect(try outcome(report("@moved --offset 0x1234"), "seal") == "proven")
    let piped = try shop.run("verify", "- --offset 0x1234 --json", input: shop["moved"])
    #expect(try outcome(piped.json, "seal") == "proven")
    let slow = try #require(
      Program.pipe(["cat", shop["moved"]], into: shop.words("verify", "- --offset 0x1234")))
    #expect(slow.second.text.contains("\nproven         seal "), "\(slow.second.errors)")
    #expect(try shop.must("inspect", "@moved --offset 0x1234").text.contains("\nSeal\n"))
    let image = try Fixture.read("qemu/libvirt72-pc-raw/image.xz")
    let start = try #require(image.firstRange(of: Array("QEVM".utf8))).lowerBound
    try shop.write("inner", Array(image[start...]))
    try shop.must("seal", "@inner -o @inner-sealed")
    try shop.write("image", image[..<start] + shop.read("inner-sealed"))
    #expect(try outcome(report("@image"), "seal") == "proven")
    // An SNP stream stands alone.
    try shop.write("snp", [0] + Fixture.read("golden/tiny/stream.mig"))
    try shop.run("verify", "@snp --offset 1").requireRefusal(.streamKind)
  }

  @Test func whatIsNoStreamIsCalledByName() throws {
    try shop.write("foreign", Array("EMiL".utf8) + [UInt8](repeating: 7, count: 99))
    let refused = try shop.run("verify", "@foreign")
    refused.requireRefusal(.streamMagic)
    #expect(refused.errors.contains("a LiME dump"))
    #expect(!refused.text.contains("a plain QEMU stream"))
    #expect(try shop.run("verify", "- --channel -").status == 64)
    #expect(try shop.run("seal", "- -o @x --instance -").status == 64)
  }
}
