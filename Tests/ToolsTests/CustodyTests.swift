import Cryptography
import Errors
import JSON
import TestSupport
import Testing
import Wire

/// Seals of evidence that is not copied, and what a verifier answers first.
@Suite struct CustodyTests {
  private let shop: Workshop

  init() throws { shop = try Workshop() }

  /// A file of each kind that has no place for a seal inside: its name in the folder.
  private static let evidence = [
    "qemu/libvirt72-pc-raw/image.xz", "qemu/pc100-boot-offset/stream.xz",
    "qemu/pc72-boot-cancelled/stream.xz", "qemu/pc100-boot-multifd-none/multifd-0.xz",
    "packed/frame.lz4", "golden/tiny/stream.mig",
  ]

  private func first(_ outcome: Program.Outcome) -> String {
    String(outcome.text.prefix { $0 != "\n" })
  }

  @Test(
    "Any file is sealed beside itself, and anyone with the offer checks it", arguments: evidence)
  func aDetachedSealIsVerifiedByTheOffer(fixture: String) throws {
    let bytes = try Fixture.read(fixture)
    try shop.write("evidence", bytes)
    try shop.prepare("examiner", chip: 1)
    let sealed = try shop.must(
      "seal", "@evidence --detached -o @evidence.seal --instance @examiner.svsm")
    #expect(try shop.read("evidence") == bytes)
    #expect(try shop.read("evidence.seal").count < 1000 + bytes.count / 4096)
    #expect(!sealed.errors.contains("model keys"))
    let key = try #require(
      sealed.errors.firstMatch(of: /signed by the key with SHA-256 ([0-9a-f]{64})/))
    let root = try #require(
      sealed.errors.firstMatch(of: /root of the seal: SHA-256 ([0-9a-f]{64})/))

    let call = "@evidence --seal @evidence.seal"
    let verified = try shop.must("verify", "\(call) --signer @examiner.offer")
    #expect(first(verified) == "intact: every byte matches its seal, signed by the given key")
    #expect(verified.text.contains("\nproven         seal-signer "))
    #expect(verified.text.contains("\nseal root      SHA-256 \(root.1)\n"))
    let unnamed = try shop.must("verify", "\(call) --json").json
    #expect(unnamed["kind"] == "file" && unnamed["signerSHA256"]?.string == String(key.1))
    #expect(unnamed["properties"]?.array?.count == 2)
    try shop.prepare("other")
    try shop.run("verify", "\(call) --signer @other.offer").requireRefusal(.sealSigner)
  }

  @Test("Damage anywhere in the file, and in the seal, is found")
  func damageIsFound() throws {
    let bytes = try Fixture.read("qemu/libvirt72-pc-raw/image.xz")
    try shop.write("evidence", bytes)
    try shop.must("seal", "@evidence --detached -o @seal")
    for place in [0, 100, 300_000, bytes.count - 1] {
      var damaged = bytes
      damaged[place] ^= 1
      try shop.write("damaged", damaged)
      let outcome = try shop.run("verify", "@damaged --seal @seal")
      outcome.requireRefusal(.sealChunk)
      #expect(first(outcome).hasPrefix("not intact: "))
      #expect(outcome.errors.contains("byte 0x\(String(place & ~0x3FFFF, radix: 16)),"))
    }
    try shop.write("longer", bytes + [0])
    try shop.run("verify", "@longer --seal @seal").requireRefusal(.sealLength)
    let seal = try shop.read("seal")
    for (place, code) in [(0, ErrorCode.sealMissing), (50, .sealRoot), (300, .sealRoot)] {
      var damaged = seal
      damaged[place] ^= 1
      try shop.write("other", damaged)
      try shop.run("verify", "@evidence --seal @other").requireRefusal(code)
    }
    try shop.write("other", seal + [0])
    try shop.run("verify", "@evidence --seal @other").requireRefusal(.sealSyntax)
    try shop.write("other", seal.dropLast())
    try shop.run("verify", "@evidence --seal @other").requireRefusal(.streamTruncated)
  }

  @Test("A signature of another kind of seal is not that of a detached one")
  func kindsOfSealsAreDistinct() throws {
    try shop.prepare("examiner")
    let stream = try Fixture.read("qemu/pc72-boot-novmdesc/stream.xz")
    try shop.write("stream", stream)
    try shop.must("seal", "@stream -o @sealed --instance @examiner.svsm")
    // The seal is the end of a stream without description, and covers all bytes before it.
    try shop.write("moved", Array(try shop.read("sealed").dropFirst(stream.count)))
    try shop.run("verify", "@stream --seal @moved").requireRefusal(.sealSignature)
  }

  @Test("A pipe and a file have the same seal, and an empty file has one")
  func aPipeIsSealed() throws {
    try shop.write("evidence", Fixture.read("qemu/pc72-boot/stream.xz"))
    try shop.write("empty", "")
    try shop.must("seal", "@evidence --detached -o @seal --jobs 1")
    let piped = try #require(
      Program.pipe(["cat", shop["evidence"]], into: shop.words("seal", "- --detached -o -")))
    #expect(try piped.second.output == shop.read("seal"))
    let verified = try #require(
      Program.pipe(["cat", shop["evidence"]], into: shop.words("verify", "- --seal @seal")))
    #expect(verified.second.status == 0, "\(verified.second.errors)")
    try shop.must("seal", "@empty --detached -o @none")
    try shop.must("verify", "@empty --seal @none")
    try shop.run("verify", "@evidence --seal @none").requireRefusal(.sealLength)
    for options in ["--offset 4", "--offer @seal", "--trust @seal", "--target @seal"] {
      #expect(
        try shop.run("verify", "@evidence --seal @seal \(options)").status == 64, "\(options)")
    }
    #expect(try shop.run("seal", "@evidence --detached --length 4 -o @x").status == 64)
  }

  @Test(
    "The record of a sealing has the names, sizes and hashes of both files",
    arguments: [true, false])
  func aSealingIsRecorded(isDetached: Bool) throws {
    try shop.write("evidence", Fixture.read("qemu/pc72-boot/stream.xz"))
    try shop.prepare("examiner")
    try shop.must(
      "seal",
      "@evidence -o @made --report @record --instance @examiner.svsm"
        + (isDetached ? " --detached" : ""))
    let record = try JSON(parsing: shop.read("record"))
    for (key, file) in [("input", "evidence"), ("output", "made")] {
      #expect(record[key]?["name"]?.string?.hasSuffix(file) == true)
      #expect(record[key]?["size"]?.int == (try shop.read(file).count))
      #expect(record[key]?["sha256"]?.string == (try Program.sha256(of: shop[file])))
    }
    #expect(record["version"] == "0.1.0" && record["seal"]?["detached"]?.bool == isDetached)
    let (started, finished) = (record["started"]?.string ?? "", record["finished"]?.string ?? "")
    #expect(started.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/) != nil && started <= finished)
    let verified = try shop.must(
      "verify", (isDetached ? "@evidence --seal @made" : "@made") + " --json"
    ).json
    #expect(verified["sealRoot"] == record["seal"]?["root"])
    #expect(verified["signerSHA256"] == record["seal"]?["signerSHA256"])
    try shop.run("seal", "@evidence --detached -o @new --report @record").requireRefusal(
      .outputExists)
    #expect(!shop.exists("new"))
  }

  @Test("The signer of a sealed stream is known by its offer")
  func theOfferNamesTheSigner() throws {
    try shop.prepare("examiner", chip: 1)
    try shop.write("stream", Fixture.read("qemu/pc72-bios-reset/stream.xz"))
    let sealed = try shop.must("seal", "@stream -o @sealed --instance @examiner.svsm")
    #expect(!sealed.errors.contains("model keys"))
    let verified = try shop.must("verify", "@sealed --signer @examiner.offer")
    #expect(verified.text.contains("\nproven         seal-signer "))
    #expect(!verified.errors.contains("model keys"))
    try shop.run("verify", "@stream --signer @examiner.offer").requireRefusal(.sealMissing)
    try shop.write("snp", Fixture.read("golden/tiny/stream.mig"))
    try shop.run("verify", "@snp --signer @examiner.offer").requireRefusal(.streamKind)
    #expect(
      try shop.run("verify", "@sealed --signer @examiner.offer --instance @examiner.svsm").status
        == 64)
  }

  // MARK: The answer

  @Test("The ledger of a plain stream begins with an answer and has the rows that exist")
  func aPlainStreamIsAnswered() throws {
    try shop.write("stream", Fixture.read("qemu/pc72-boot/stream.xz"))
    let verified = try shop.must("verify", "@stream")
    #expect(
      first(verified) == "intact: every record is well formed, all RAM is there; not sealed")
    #expect(!verified.text.contains("does not apply") && !verified.text.contains("page-tags"))
    #expect(
      verified.text.hasSuffix("\nnothing refuted: 2 of 4 properties proven, 2 not checkable here\n")
    )
    let json = try shop.must("verify", "@stream --json").json
    #expect(
      json["properties"]?.array?.compactMap { $0["name"]?.string }
        == ["structure", "order", "seal", "seal-signer"])
    try shop.must("seal", "@stream -o @sealed")
    #expect(
      first(try shop.must("verify", "@sealed"))
        == "intact: every record is well formed, all RAM is there; every byte matches its seal, not signed"
    )
    let cut = try shop.read("stream")
    try shop.write("cut", Array(cut.prefix(cut.count / 2)))
    #expect(first(try shop.run("verify", "@cut")).hasPrefix("not whole: "))
    let main = try QEMUCase.named("pc100-boot-multifd-none").unpack(into: shop).split(
      separator: " ")[0]
    #expect(first(try shop.run("verify", "\(main)")).hasPrefix("not whole: "))
    try shop.write("text", "no stream at all")
    #expect(first(try shop.run("verify", "@text")).hasPrefix("not intact: "))
  }

  @Test("A root that nobody named is not checkable, names --trust, and is not accepted")
  func anUnknownRootRefutesNothing() throws {
    try shop.write("stream", Fixture.read("golden/mixed/stream.mig"))
    let outcome = try shop.run("verify", "@stream")
    outcome.requireRefusal(.certificateRoot)
    #expect(outcome.text.contains("\nnot checkable  source-attestation "))
    #expect(outcome.text.contains("--trust") && !outcome.text.contains("refuted  "))
    #expect(outcome.text.contains("\nrefused [CERT-ROOT]: "))
  }

  // MARK: Import

  @Test("What is no raw memory is refused by its first bytes, and our own files too")
  func foreignFilesAreNotMemory() throws {
    try shop.makeGuest(memory: "64K")
    for name in ["there", "destination"] { try shop.prepare(name) }
    try shop.must("guest", "export @guest --format elf -o @core")
    for (file, magic) in [("xz", "fd377a585a00"), ("gzip", "1f8b08"), ("zstd", "28b52ffd")] {
      try shop.write(file, (try #require(Hex.decode(magic))) + [UInt8](repeating: 7, count: 99))
    }
    for file in ["core", "there.svsm", "there.offer"] {
      // A raw image is whole pages.
      try shop.truncate(file, to: Int64((try shop.read(file).count + 4095) & ~4095))
      for call in ["import @\(file) -o @out", "export @\(file) -o @out"] {
        try shop.run("guest", call).requireRefusal(.inputKind)
      }
      try shop.run("save", "@\(file) -o @out --to @destination.offer --trust @root.pem")
        .requireRefusal(.inputKind)
    }
    for file in ["xz", "gzip", "zstd"] {
      let outcome = try shop.run("guest", "import @\(file) -o @out")
      #expect(outcome.status == 65, "\(file): \(outcome.errors)")
    }
    #expect(!shop.exists("out"))
    let taken = try shop.must("guest", "import @core --format raw -o @out")
    #expect(taken.errors.contains("one in reset state was added"))
  }

  @Test("An import says what it adds to the vCPUs, and what was there before")
  func anImportSaysWhatItAdds() throws {
    let call = try QEMUCase.named("pc72-tiny").unpack(into: shop)
    let imported = try shop.must("guest", "import \(call) -o @guest")
    for word in ["EFER.SVME", "SNPActive", "VMPL 2"] { #expect(imported.errors.contains(word)) }
    let shown = try shop.must("guest", "show @guest --json").json["vcpus"]?.array?.first
    #expect(shown?["EFER"] == "0x1d01" && shown?["savedEFER"] == "0xd01")
    #expect(
      try shop.must("guest", "show @guest").text.contains("EFER 0x1d01 (0xd01 before the import)"))
    let registers = try shop.must("inspect", "\(call) --cpus --json").json["cpus"]?.array?.first
    #expect(registers?["registers"]?["EFER"] == "0xd01")
    let given = try shop.must("guest", "import \(call) -o @again --vmsa @guest/vcpu-0.vmsa")
    #expect(!given.errors.contains("EFER"))
  }
}
