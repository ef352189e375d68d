import Cryptography
import Errors
import Foundation
import JSON
import TestSupport
import Testing
import Wire

/// What `svsm-mig-inspect` answers, question by question.
@Suite struct InspectQuestionTests {
  private let shop: Workshop

  init() throws { shop = try Workshop() }

  private func text(_ call: String) throws -> String { try shop.must("inspect", call).text }

  /// Words of QEMU's `info registers`: names and values.
  private func registers(_ name: String) throws -> [String: UInt64] {
    var facts: [String: UInt64] = [:]
    let text = try Fixture.text("qemu/\(name)/registers.txt").replacing(" =", with: "=")
    for word in text.split(whereSeparator: \.isWhitespace) {
      let parts = word.split(separator: "=")
      if parts.count == 2, let value = UInt64(parts[1], radix: 16) {
        facts[String(parts[0])] = facts[String(parts[0])] ?? value
      }
    }
    return facts
  }

  // MARK: The overview

  @Test("The overview says what it is, and what to ask next")
  func theOverviewAnswersFirst() throws {
    let call = try QEMUCase.named("q35-72-tiny-smp2").unpack(into: shop)
    let lines = try text(call).split(separator: "\n").map(String.init)
    #expect(lines[0].hasPrefix("Stream            QEMU migration stream, whole, "))
    #expect(lines[1] == "Machine           pc-q35-7.2")
    let state = try #require(lines.first { $0.hasPrefix("State ") })
    #expect(state.hasSuffix("running") || state.hasSuffix("paused"))
    #expect(lines.contains("CPUs              2"))
    #expect(lines.contains { $0.hasPrefix("Memory            40 MiB of the guest; ") })
    #expect(lines.contains { $0.hasPrefix("Devices ") && $0.contains("cpu x2") })
    for option in ["--cpus", "--devices", "--sections", "--pages", "--extract WHAT"] {
      #expect(lines.contains { $0.hasPrefix("  \(option) ") }, "\(option)")
    }
  }

  @Test("The overview of a libvirt image names its domain, which can be extracted")
  func theDomainIsNamed() throws {
    let call = try QEMUCase.named("libvirt72-pc-raw").unpack(into: shop)
    let overview = try text(call)
    let xml = try text("\(call) --extract domain")
    #expect(xml.hasPrefix("<") && xml.contains("<domain ") && !xml.contains("\0"))
    let name = try #require(xml.firstMatch(of: /<name>([^<]*)<\/name>/)).1
    #expect(overview.contains("\nDomain            \(name)\n"))
    let found = try shop.must("inspect", "\(call) --json").json
    #expect(found["libvirt"]?["domain"]?.string == String(name))
    #expect(found["libvirt"]?["running"]?.bool != nil && found["runState"]?.string != nil)
    let other = try QEMUCase.named("pc72-boot").unpack(into: shop)
    try shop.run("inspect", "\(other) --extract domain").requireRefusal(.streamKind)
  }

  @Test("An option that asks for a part shows this part alone")
  func aPartIsShownAlone() throws {
    let call = try QEMUCase.named("pc72-boot").unpack(into: shop)
    for (option, first) in [
      ("--sections", "Sections"), ("--pages", "RAM page records"), ("--devices", "timer 0"),
      ("--device globalstate", "globalstate 0"), ("--cpus", "CPU 0"), ("--page 0", "Page 0x0"),
      ("--section globalstate", "Sections"), ("--ram-hashes", "RAM blocks"),
    ] {
      let lines = try text("\(call) \(option)").split(separator: "\n")
      #expect(lines.first.map(String.init) == first, "\(option)")
      #expect(!lines.contains { $0.hasPrefix("Stream ") || $0.hasPrefix("Machine ") }, "\(option)")
    }
  }

  @Test("The main channel of a multifd migration alone is not whole")
  func aChannelAloneIsNotWhole() throws {
    let call = try QEMUCase.named("pc100-boot-multifd-none").unpack(into: shop)
    let main = call.split(separator: " ")[0]
    let outcome = try shop.run("inspect", "\(main)")
    outcome.requireRefusal(.ramMissing)
    #expect(outcome.errors.contains("--channel"))
    #expect(!outcome.text.contains(", whole,"))
    #expect(try shop.run("inspect", "\(main) --json").json["complete"]?.bool == false)
    let allowed = try shop.must("inspect", "\(main) --allow-incomplete")
    #expect(allowed.text.hasPrefix("Stream            QEMU migration stream, not whole, "))
    #expect(try shop.must("inspect", "\(call) --json").json["complete"]?.bool == true)
  }

  @Test("What is no stream is called none, and our own files by their names")
  func whatIsNoStreamIsNone() throws {
    try shop.write("text", "no stream at all, but long enough")
    #expect(
      try shop.run("inspect", "@text").text.hasPrefix("Stream            not a migration stream\n"))
    try shop.prepare("there")
    for (file, name) in [("there.svsm", "an instance file"), ("there.offer", "an offer")] {
      let outcome = try shop.run("inspect", "@\(file)")
      outcome.requireRefusal(.streamMagic)
      #expect(outcome.errors.contains(name), "\(outcome.errors)")
    }
    try shop.makeGuest(memory: "64K")
    let folder = try shop.run("inspect", "@guest")
    folder.requireRefusal(.inputKind)
    #expect(folder.errors.contains("svsm-mig-guest show"))
  }

  // MARK: Registers

  @Test(
    "Registers of a plain stream are those that QEMU showed",
    arguments: ["pc72-tiny", "q35-72-tiny-smp2"])
  func registersAreNamed(name: String) throws {
    let call = try QEMUCase.named(name).unpack(into: shop)
    let facts = try registers(name)
    let found = try shop.must("inspect", "\(call) --cpus --json").json
    let shown = try #require(found["cpus"]?.array?.first?["registers"])
    let lines = try text("\(call) --cpus")
    #expect(
      lines.split(separator: "\n").count { $0.hasPrefix("CPU ") }
        == (name.hasSuffix("smp2") ? 2 : 1))
    let general =
      ["RAX", "RBX", "RCX", "RDX", "RSI", "RDI", "RBP", "RSP"] + (8...15).map { "R\($0)" }
    for register in general + ["RIP", "CR0", "CR2", "CR3", "CR4", "EFER"] {
      let fact = try #require(facts[register], "\(register)")
      #expect(shown[register]?.string == Hex.number(fact), "\(register)")
      #expect(
        lines.contains(
          "\(register.padding(toLength: 18, withPad: " ", startingAt: 0))\(Hex.number(fact, digits: 16))"
        ),
        "\(register)")
    }
    #expect(shown["CS"]?["selector"]?.string != nil && shown["SEV_FEATURES"] == nil)
  }

  @Test("Registers of an SNP stream need the instance")
  func registersOfAnSNPStreamAreDecrypted() throws {
    for name in ["destination.svsm", "root.pem", "mixed/stream.mig"] {
      try shop.write(String(name.split(separator: "/").last ?? ""), Fixture.read("golden/\(name)"))
    }
    #expect(try text("@stream.mig --cpus").contains("--instance"))
    let shown = try text("@stream.mig --cpus --instance @destination.svsm --trust @root.pem")
    #expect(shown.hasPrefix("vCPU with APIC id 0") && shown.contains("  RAX  "))
    #expect(!shown.contains("SEV features"))
  }

  @Test("A change of the last general register is a change of the text")
  func textsDifferWhereTheDataDo() throws {
    let call = try QEMUCase.named("pc72-tiny").unpack(into: shop)
    let facts = try registers("pc72-tiny")
    var bytes = try shop.read("pc72-tiny-stream")
    let value = facts["R15"] ?? 0
    let register = (0..<8).map { UInt8(value >> UInt64(56 - 8 * $0) & 0xFF) }
    let found = try shop.must("inspect", "\(call) --json --device cpu").json
    let start = try #require(found["devices"]?.array?.first?["offset"]?.int) + 15 * 8
    #expect(Array(bytes[start..<start + 8]) == register)
    bytes[start + 7] ^= 1
    try shop.write("other", bytes)
    for option in ["--devices", "--device cpu", "--cpus"] {
      #expect(try text("\(call) \(option)") != text("@other \(option)"), "\(option)")
    }
  }

  // MARK: Values

  @Test("A long buffer is cut with its size and hash, and shown in full with --verbose")
  func aCutIsMarked() throws {
    let call = try QEMUCase.named("pc72-boot").unpack(into: shop)
    let found = try shop.must("inspect", "\(call) --json --device vga").json
    let fields = try #require(found["devices"]?.array?.first?["fields"])
    let palette = try #require(fields["palette"]?.string ?? fields["vga"]?["palette"]?.string)
    let bytes = try #require(Hex.decode(palette.filter { $0 != " " }))
    let digest = Hex.encode(try SHA256.hash(bytes))
    let cut = try text("\(call) --device vga")
    #expect(cut.contains("\(bytes.count) bytes, SHA-256 \(digest)\n") && cut.contains(" …\n"))
    let full = try text("\(call) --device vga --verbose")
    #expect(
      !full.contains("…") && full.filter { !$0.isWhitespace }.contains(palette.filter { $0 != " " })
    )
  }

  @Test("The run state is a text")
  func aTextIsShownAsText() throws {
    let call = try QEMUCase.named("pc72-boot").unpack(into: shop)
    let state = try #require(try shop.must("inspect", "\(call) --json").json["runState"]?.string)
    #expect(
      try text("\(call) --device globalstate").contains(
        "\"\(state)\" and \(100 - state.utf8.count) zero bytes"))
  }

  // MARK: One section

  @Test("A section is shown by its name, its path's last part, or with its instance")
  func aSectionIsNamed() throws {
    let call = try QEMUCase.named("q35-72-tiny-smp2").unpack(into: shop)
    #expect(try text("\(call) --device cpu").components(separatedBy: "\ncpu ").count == 2)
    let words = shop.words("inspect", "\(call) --device") + ["cpu 1"]
    let second = try #require(Program.run(words))
    #expect(second.status == 0 && second.text.hasPrefix("cpu 1\n"), "\(second.errors)")
    let unknown = try shop.run("inspect", "\(call) --section nothing-has-this-name")
    #expect(unknown.status == 64 && unknown.errors.contains("nothing-has-this-name"))
  }

  @Test("Extracted bytes are those of the stream")
  func bytesAreExtracted() throws {
    let call = try QEMUCase.named("pc72-boot").unpack(into: shop)
    let stream = try shop.read("pc72-boot-stream")
    let section = try #require(
      try shop.must("inspect", "\(call) --json --section globalstate").json["sections"]?.array?
        .first)
    let start = try #require(section["bodyOffset"]?.int)
    let body = Array(stream[start..<start + (try #require(section["size"]?.int))])
    #expect(section["body"]?.string == Hex.encode(body))
    #expect(try shop.must("inspect", "\(call) --extract section:globalstate").output == body)
    try shop.must("inspect", "\(call) --extract section:globalstate -o @body")
    #expect(try shop.read("body") == body)
    try shop.run("inspect", "\(call) --extract section:globalstate -o @body")
      .requireRefusal(.outputExists)
    let description = try shop.must("inspect", "\(call) --extract description").output
    #expect(stream.suffix(description.count) == description[...] && description.first == 0x7B)
    try shop.must("inspect", "\(call) --extract block:pc.ram -o @ram")
    #expect(try shop.read("ram") == Fixture.read("qemu/pc72-boot/pc.ram.bin.xz"))
    let missing = try shop.run("inspect", "\(call) --extract section:ram")
    #expect(missing.status == 64)
    #expect(try shop.run("inspect", "\(call) --extract domain --json").status == 64)
  }

  // MARK: Pages

  @Test(
    "A page of a plain stream is what the guest had, whatever the form of the stream",
    arguments: [
      "pc72-boot", "pc100-boot-mapped", "q35-72-boot-multifd-zstd", "pc72-boot-live-xbzrle",
      "pc72-tiny-compress", "libvirt72-pc-raw",
    ])
  func aPageIsRestored(name: String) throws {
    let call = try QEMUCase.named(name).unpack(into: shop)
    try shop.must("guest", "export \(call) --range 0x7000-0x8fff -o @memory")
    let memory = try shop.read("memory")
    for (index, address) in ["0x7c00", "0x8010"].enumerated() {
      let page = try #require(
        try shop.must("inspect", "\(call) --page \(address) --json").json["page"])
      let content = Hex.encode(memory[index * 4096..<(index + 1) * 4096])
      #expect(page["restored"]?.string == content, "\(address)")
      #expect(page["place"]?["block"]?.string == "pc.ram")
    }
  }

  @Test("The addresses of pages are shown where import knows them")
  func pagesHaveAddresses() throws {
    let call = try QEMUCase.named("pc72-boot").unpack(into: shop)
    let rows = try text("\(call) --pages").split(separator: "\n").filter { $0.contains("pc.ram ") }
    #expect(!rows.isEmpty && rows.allSatisfy { !$0.contains(" -  ") })
    let map = try shop.must("inspect", "\(call) --json").json["guestMap"]?.array
    #expect(map?.first?["gpa"] == "0x0" && map?.first?["block"] == "pc.ram")
    let dimm = try QEMUCase.named("pc100-boot-dimm").unpack(into: shop).split(separator: " ")[0]
    let refused = try shop.run("inspect", "\(dimm) --page 0x7c00")
    refused.requireRefusal(.guestMap)
    #expect(refused.errors.contains("--ram"))
    try shop.must(
      "inspect", "\(dimm) --page 0x7c00 --ram d0@0x100000000 --ram d1@0x101000000")
    try shop.run("inspect", "\(call) --ram no-such-block").requireRefusal(.guestMap)
    try shop.write("snp", Fixture.read("golden/tiny/stream.mig"))
    try shop.run("inspect", "@snp --ram pc.ram").requireRefusal(.streamKind)
    let piped = try #require(
      Program.pipe(["cat", shop["pc72-boot-stream"]], into: shop.words("inspect", "- --page 0")))
    piped.second.requireRefusal(.inputKind)
  }
}
