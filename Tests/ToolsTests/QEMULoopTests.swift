import JSON
import TestSupport
import Testing

/// A guest of the real QEMU through save and load, and out again as a QEMU stream.
@Suite struct QEMULoopTests {
  private let shop: Workshop

  init() throws {
    shop = try Workshop()
    try shop.prepare("there")
    try shop.must("guest", "create -o @other --memory 64K")
  }

  /// Saves a case with all RAM private as `snp`, and loads it as `again`.
  /// - Returns: the words that name the case's own stream.
  private func rewrite(_ guest: QEMUCase) throws -> String {
    let call = try guest.unpack(into: shop)
    try shop.must(
      "save",
      "\(call) --input-format qemu --private all\(guest.importOptions) -o @snp --to @there.offer "
        + "--trust @root.pem")
    try shop.must(
      "load",
      "@snp --instance @there.svsm -o @again --output-format qemu --trust @root.pem")
    return call
  }

  private func inspect(_ call: String) throws -> JSON {
    try shop.must("inspect", call + " --ram-hashes --devices --json").json
  }

  @Test(arguments: QEMUCase.all) func contentComesBack(guest: QEMUCase) throws {
    let before = try inspect(try rewrite(guest))
    let after = try inspect("@again")
    #expect(QEMUCase.blocks(in: after) == (try guest.blocks))
    #expect(after["machine"] == before["machine"])
    #expect(after["footers"] == before["footers"])
    let (devices, expected) = (devices(of: after), devices(of: before))
    #expect(devices.count == expected.count)
    for (found, wanted) in zip(devices, expected) where found != wanted {
      Issue.record("\(found) instead of \(wanted)")
    }
    #expect(after["complete"]?.bool == true)
  }

  /// Name, instance and digest of the body of each device section.
  private func devices(of json: JSON) -> [[String]] {
    (json["devices"]?.array ?? []).map { device in
      [
        device["name"]?.string ?? "", "\(device["instanceID"]?.uint ?? 0)",
        device["sha256"]?.string ?? "",
      ]
    }
  }

  /// Streams that QEMU wrote in one go: RAM is cut into the same parts.
  @Test(arguments: [
    "pc100-boot", "pc100-boot-dimm", "pc2.0-boot", "pc2.4-boot", "pc72-bios-reset", "pc72-boot",
    "pc72-boot-devices", "pc72-boot-novmdesc", "pc72-boot-uuid", "q35-72-boot",
  ])
  func aStreamComesBackByteForByte(name: String) throws {
    let guest = QEMUCase.named(name)
    _ = try rewrite(guest)
    #expect(try shop.read("again") == Fixture.read("qemu/\(name)/stream.xz"))
  }

  @Test(arguments: ["pc72-boot", "pc72-boot-novmdesc", "pc2.0-boot"])
  func noRegisterIsInTheClear(name: String) throws {
    let guest = QEMUCase.named(name)
    _ = try rewrite(guest)
    let plain = try shop.read("again")
    let snp = try shop.read("snp")
    // From the header of the first vCPU's section on: registers, segments, control registers.
    let header = Array("\u{3}cpu".utf8)
    let start = try #require(plain.firstRange(of: header)).upperBound + 8
    // rip among them; windows of zeros tell nothing.
    var searched = 0
    for place in stride(from: start, to: start + 160, by: 8) {
      let window = plain[place..<place + 16]
      if Set(window).count < 5 { continue }
      searched += 1
      #expect(snp.firstRange(of: window) == nil, "byte \(place - start) of the registers")
    }
    #expect(searched > 2)
    #expect(snp.firstRange(of: Array("\u{a}cpu_common".utf8) + [0, 0, 0, 0, 0, 0, 0, 1, 0]) == nil)
  }

  @Test func aGuestGoesThroughABundle() throws {
    let guest = QEMUCase.named("pc72-boot")
    let call = try guest.unpack(into: shop)
    try shop.must("guest", "import \(call) -o @source --private 0x0+4M")
    try shop.must("save", "@source -o @snp --to @there.offer --trust @root.pem")
    try shop.must("load", "@snp --instance @there.svsm -o @out --trust @root.pem")
    try shop.requireSame("source", "out")
    try shop.prepare("further")
    try shop.must("save", "@out -o @snp2 --to @further.offer --trust @root.pem")
    try shop.must(
      "load",
      "@snp2 --instance @further.svsm -o @again --output-format qemu --trust @root.pem")
    #expect(try shop.read("again") == Fixture.read("qemu/pc72-boot/stream.xz"))
  }

  @Test func aStreamIsLoadedToAPipe() throws {
    let guest = QEMUCase.named("pc72-boot")
    let call = try guest.unpack(into: shop)
    // A file that begins as a QEMU stream is taken for one.
    try shop.must(
      "save", "\(call) --private none -o @snp --to @there.offer --trust @root.pem")
    try shop.must(
      "load", "@snp --instance @there.svsm -o /dev/null --output-format qemu --trust @root.pem")
    try shop.prepare("there")
    try shop.must(
      "save", "\(call) --private none -o @snp --to @there.offer --trust @root.pem --force")
    let run = try #require(
      Program.pipe(
        shop.words(
          "load", "@snp --instance @there.svsm -o - --output-format qemu --trust @root.pem"),
        into: ["cmp", "-", shop["pc72-boot-stream"]]))
    #expect(run.first.status == 0, "\(run.first.errors)")
    #expect(run.second.status == 0, "\(run.second.text)")
  }

  @Test func aGuestWithoutDevicesBecomesAStreamOfMemory() throws {
    try shop.makeGuest()
    try shop.must("save", "@guest -o @snp --to @there.offer --trust @root.pem")
    try shop.must(
      "load", "@snp --instance @there.svsm -o @again --output-format qemu --trust @root.pem")
    let found = try inspect("@again")
    #expect(found["complete"]?.bool == true)
    #expect(found["devices"] == [])
    #expect(
      found["ramBlocks"]?.array?.first?["sha256"]?.string
        == (try Program.sha256(of: shop["guest/ram-0.bin"])))
  }

  @Test func optionsOfStreamsAreForStreams() throws {
    try shop.makeGuest()
    let outcome = try shop.run(
      "save", "@guest --offset 16 -o @snp --to @there.offer --trust @root.pem")
    #expect(outcome.status == 64)
    #expect(outcome.errors.contains("QEMU streams"))
  }
}
