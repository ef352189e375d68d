import Errors
import JSON
import TestSupport
import Testing

/// Save images of libvirt: one that libvirt wrote, and its stream packed otherwise.
@Suite struct LibvirtImageTests {
  private let shop: Workshop
  private let guest = QEMUCase.named("libvirt72-pc-raw")
  private let image: [UInt8]
  /// Bytes in front of the stream.
  private let start: Int

  init() throws {
    shop = try Workshop()
    image = try Fixture.read("qemu/libvirt72-pc-raw/image.xz")
    start = try #require(guest.facts["image"]?["stream_offset"]?.int)
  }

  private func inspect(_ bytes: [UInt8], status: Int32 = 0) throws -> JSON {
    try shop.write("image", bytes)
    let outcome = try shop.run("inspect", "@image --json --ram-hashes")
    #expect(outcome.status == status, "\(outcome.errors)")
    return try outcome.json
  }

  /// The image with its stream packed by a program.
  private func packed(_ format: UInt8, by command: [String]) throws -> [UInt8] {
    let stream = try shop.write("stream", Array(image[start...]))
    let outcome = try #require(Program.run(command + [stream]))
    try #require(outcome.status == 0)
    var header = Array(image[..<start])
    header[28] = format
    return header + outcome.output
  }

  @Test func theHeaderIsShown() throws {
    let shown = try inspect(image)
    #expect(shown["streamOffset"]?.int == start)
    let header = shown["libvirt"]
    #expect(header?["version"] == 2)
    #expect(header?["whole"]?.bool == true)
    #expect(header?["format"] == "raw")
    #expect(header?["descriptionSize"]?.int == start - 92)
  }

  @Test func aHeaderOfTheOtherByteOrderIsRead() throws {
    var swapped = image
    for field in stride(from: 16, to: 36, by: 4) {
      for index in 0..<4 { swapped[field + index] = image[field + 3 - index] }
    }
    #expect(QEMUCase.blocks(in: try inspect(swapped)) == (try guest.blocks))
  }

  @Test(
    arguments: [
      (1, ["gzip", "-c"], "gzip"), (3, ["xz", "-0c"], "xz"), (5, ["zstd", "-qc"], "zstd"),
    ] as [(UInt8, [String], String)])
  func aPackedStreamIsUnpacked(format: UInt8, command: [String], name: String) throws {
    let whole = try packed(format, by: command)
    let shown = try inspect(whole)
    #expect(QEMUCase.blocks(in: shown) == (try guest.blocks))
    #expect(shown["libvirt"]?["format"]?.string == name)
    #expect(shown["streamOffset"] == 0)
    #expect(shown["size"]?.int == image.count - start)
    // Two streams of the format, one behind the other, are one.
    let again = try #require(Program.run(command + ["/dev/null"]))
    #expect(QEMUCase.blocks(in: try inspect(whole + again.output)) == (try guest.blocks))
    try shop.must("guest", "import @image -o @guest")

    for length in [start, start + 1, start + 9, (start + whole.count) / 2, whole.count - 1] {
      let refusal = try inspect(Array(whole.prefix(length)), status: 65)
      let code = refusal["refusal"]?["code"] ?? refusal["code"]
      #expect(code == "STREAM-TRUNCATED", "\(length)")
    }
    for place in [start, start + 1, (start + whole.count) / 2] {
      var damaged = whole
      damaged[place] ^= 0xFF
      let refusal = try inspect(damaged, status: 65)
      #expect((refusal["refusal"]?["code"] ?? refusal["code"]) == "IMAGE-DATA", "\(place)")
    }
    let trailing = try inspect(whole + [UInt8](repeating: 1, count: 16), status: 65)
    #expect(trailing["refusal"]?["code"] == "IMAGE-DATA")
  }

  /// Rows: format, program, zero bytes behind what it packed, whether they may stand there.
  @Test(
    arguments: [
      (1, ["gzip", "-c"], 5, true), (1, ["gzip", "-c"], 70_000, true),
      (3, ["xz", "-0c"], 8, true), (3, ["xz", "-0c"], 6, false), (5, ["zstd", "-qc"], 4, false),
    ] as [(UInt8, [String], Int, Bool)])
  func zeroBytesBehindAPackedStreamAreAsItsProgramTakesThem(
    format: UInt8, command: [String], zeros: Int, isTaken: Bool
  ) throws {
    let padded =
      try packed(format, by: command) + [UInt8](repeating: 0, count: zeros)
    let shown = try inspect(padded, status: isTaken ? 0 : 65)
    if isTaken {
      #expect(QEMUCase.blocks(in: shown) == (try guest.blocks))
      // Nothing but zero bytes: between two streams only xz has padding.
      let again = try #require(Program.run(command + ["/dev/null"]))
      let more = try inspect(padded + again.output, status: format == 3 ? 0 : 65)
      if format != 3 { #expect(more["refusal"]?["code"] == "IMAGE-DATA") }
    } else {
      #expect((shown["refusal"]?["code"] ?? shown["code"]) == "IMAGE-DATA")
    }
  }

  /// Rows: format, program with a window that is not given, the limit in the refusal.
  @Test(
    arguments: [
      (3, ["xz", "-c", "--lzma2=dict=256MiB,mode=fast,mf=hc3"], "256 MiB"),
      // From a pipe: of a file whose length it knows zstd takes a window of that length.
      (5, ["sh", "-c", "zstd -qc --long=28 < \"$0\""], "128 MiB"),
    ] as [(UInt8, [String], String)])
  func aLimitOfUnpackingIsNamed(format: UInt8, command: [String], limit: String) throws {
    let shown = try inspect(try packed(format, by: command), status: 65)
    let refusal = shown["refusal"] ?? shown
    #expect(refusal["code"] == "IMAGE-FORMAT")
    #expect(refusal["expected"]?.string?.contains(limit) == true)
  }

  /// Two layers multiply what a small file unpacks to, and each needs a dictionary of its own.
  @Test(arguments: [(["gzip", "-c"], "gzip"), (["xz", "-0c"], "xz")] as [([String], String)])
  func aPackedStreamIsRefusedInAPackedFile(command: [String], name: String) throws {
    func wrapped(_ bytes: [UInt8]) throws -> [UInt8] {
      let inner = try shop.write("inner", bytes)
      let outcome = try #require(Program.run(command + [inner]))
      try #require(outcome.status == 0)
      return outcome.output
    }
    let outside = try wrapped(image)
    #expect(QEMUCase.blocks(in: try inspect(outside)) == (try guest.blocks))

    let refusal = try inspect(try wrapped(packed(3, by: ["xz", "-0c"])), status: 65)
    #expect(refusal["code"] == "IMAGE-FORMAT")
    #expect(refusal["offset"] == 28)
    #expect(refusal["expected"]?.string?.contains("unpack the file with \(name) first") == true)
    for call in ["verify @image", "guest import @image -o @guest"] {
      let words = call.split(separator: " ", maxSplits: 1).map(String.init)
      try shop.run(words[0], words[1]).requireRefusal(.imageFormat)
    }
    #expect(!shop.exists("guest"))
  }

  @Test func anImageThatWasNotFinishedIsRefused() throws {
    var part = image
    part.replaceSubrange(12..<16, with: Array("Part".utf8))
    let shown = try inspect(part, status: 65)
    #expect(shown["refusal"]?["code"] == "IMAGE-PARTIAL")
    #expect(shown["libvirt"]?["whole"]?.bool == false)
    #expect(QEMUCase.blocks(in: shown) == (try guest.blocks))
    let allowed = try shop.must("inspect", "@image --json --allow-incomplete").json
    #expect(allowed["shortfall"]?["code"] == "IMAGE-PARTIAL")
    try shop.run("guest", "import @image -o @guest").requireRefusal(.imagePartial)
    // One that also ends early is refused where it ends.
    let cut = try inspect(Array(part.prefix(part.count / 2)), status: 65)
    #expect(cut["refusal"]?["code"] == "STREAM-TRUNCATED")
  }

  /// A byte of the header that is changed: the code, and where.
  @Test(
    arguments: [
      (12, 0x58, ErrorCode.imageHeader, 0), (16, 3, .imageHeader, 16), (28, 2, .imageData, nil),
      (28, 4, .imageData, nil), (28, 7, .imageFormat, 28), (22, 0xFF, .streamTruncated, nil),
    ] as [(Int, UInt8, ErrorCode, Int?)])
  func aHeaderThatIsNotReadIsRefused(
    place: Int, value: UInt8, code: ErrorCode, offset: Int?
  ) throws {
    var bytes = image
    bytes[place] = value
    let refusal = try inspect(bytes, status: 65)
    #expect(refusal["code"]?.string == code.rawValue)
    if place == 16 { #expect(refusal["got"] == "3") }
    if let offset { #expect(refusal["offset"]?.int == offset) }
  }
}
