import Errors
import Foundation
import Guest
import JSON
import SEVSNP
import TestSupport
import Testing
import Wire

@Suite struct GuestToolTests {
  /// Unpacks a stream of the real QEMU.
  private func stream(_ name: String, in shop: Workshop) throws {
    try shop.write("\(name).qemu", try Fixture.read("qemu/\(name)/stream.xz"))
  }

  private func facts(_ name: String) throws -> JSON {
    try JSON(parsing: Fixture.read("qemu/\(name)/case.json"))
  }

  /// Digests were taken from the memory of the QEMU process, not through migration code.
  @Test(arguments: ["pc72-boot", "q35-72-boot", "pc100-boot", "pc72-tiny"])
  func allMemoryOfAQEMUStreamIsImported(name: String) throws {
    let shop = try Workshop()
    try stream(name, in: shop)
    try shop.must("guest", "import @\(name).qemu -o @guest --private all")
    let guest = try GuestReader(bundle: shop["guest"]).description
    let listed = try #require(facts(name)["ram_blocks"]?.array)
    #expect(guest.ramBlocks.count == listed.count)
    for (index, block) in guest.ramBlocks.enumerated() {
      let fact = try #require(listed.first { $0["name"]?.string == block.name })
      #expect(fact["used_length"]?.uint == block.size)
      let sum = try Program.sha256(of: shop["guest/ram-\(index).bin"])
      #expect(sum == fact["sha256"]?.string, "\(block.name)")
    }
    let main = try #require(guest.ramBlocks.firstIndex { $0.name == "pc.ram" })
    #expect(
      guest.map.ranges == [
        MappedRange(block: main, offset: 0, gpa: 0, size: guest.ramBlocks[main].size)
      ])
    #expect(
      guest.machine
        == (name.hasPrefix("q35")
          ? "pc-q35-7.2" : "pc-i440fx-\(name.hasPrefix("pc72") ? "7.2" : "10.0")"))
  }

  @Test func aStreamIsImportedFromAPipe() throws {
    let shop = try Workshop()
    try stream("pc72-boot", in: shop)
    try shop.must("guest", "import @pc72-boot.qemu -o @one --private all")
    let run = try #require(
      Program.pipe(
        ["cat", shop["pc72-boot.qemu"]],
        into: shop.words("guest", "import - -o @two --private all")))
    #expect(run.second.status == 0, "\(run.second.errors)")
    try shop.requireSame("one", "two")
  }

  /// What QEMU's own monitor said of the vCPU when it was stopped.
  @Test func aVCPUHasTheRegistersItReallyHad() throws {
    let shop = try Workshop()
    try stream("pc72-tiny", in: shop)
    try shop.must("guest", "import @pc72-tiny.qemu -o @guest")
    let vcpus = try GuestReader(bundle: shop["guest"]).description.vcpus
    #expect(vcpus.count == 1)
    #expect(vcpus[0].apicID == 0 && vcpus[0].vmpl == 2)
    let vmsa = try VMSA(vcpus[0].vmsa)
    let facts = try MonitorRegisters(Fixture.read("qemu/pc72-tiny/registers.txt"))
    let named: [(VMSA.Register, String)] = [
      (\.rax, "RAX"), (\.rbx, "RBX"), (\.rcx, "RCX"), (\.rdx, "RDX"), (\.rsi, "RSI"),
      (\.rdi, "RDI"),
      (\.rbp, "RBP"), (\.rsp, "RSP"), (\.r8, "R8"), (\.r9, "R9"), (\.r10, "R10"), (\.r11, "R11"),
      (\.r12, "R12"), (\.r13, "R13"), (\.r14, "R14"), (\.r15, "R15"), (\.rip, "RIP"),
      (\.rflags, "RFL"),
      (\.cr0, "CR0"), (\.cr2, "CR2"), (\.cr3, "CR3"), (\.cr4, "CR4"), (\.dr6, "DR6"),
      (\.dr7, "DR7"),
      (\.x87FCW, "FCW"), (\.x87FSW, "FSW"), (\.mxcsr, "MXCSR"), (\.cpl, "CPL"),
    ]
    for (register, name) in named {
      let value = vmsa[keyPath: register]
      #expect(value == facts[name], "\(name)")
    }
    // Hardware demands SVME of a guest.
    #expect(vmsa.efer == facts["EFER"].map { $0 | 1 << 12 })
    for (register, name) in [
      (\VMSA.es, "ES"), (\.cs, "CS"), (\.ss, "SS"), (\.ds, "DS"), (\.fs, "FS"), (\.gs, "GS"),
      (\.ldtr, "LDT"), (\.tr, "TR"), (\.gdtr, "GDT"), (\.idtr, "IDT"),
    ] {
      let value = vmsa[keyPath: register]
      #expect(value == facts.segment(name), "\(name)")
    }
    for index in 0..<16 {
      #expect(Array(vmsa.xmm[16 * index..<16 * index + 16]) == facts.xmm(index), "XMM\(index)")
    }
    // No x87 register is in use: every tag says empty.
    #expect(vmsa.x87FTW == 0xFFFF)
    #expect(vmsa.features == .snp)
    try vmsa.validateForImport(expectedVMPL: 2, expectedFeatures: .snp)
  }

  @Test(arguments: ["none", "0x0+4M", "all"])
  func aBootedGuestMigrates(isPrivate: String) throws {
    let shop = try Workshop()
    try stream("q35-72-boot", in: shop)
    try shop.write("vtpm", Array("a TPM's state".utf8))
    try shop.must(
      "guest", "import @q35-72-boot.qemu -o @guest --private \(isPrivate) --vtpm @vtpm")
    try shop.prepare("there")
    try shop.must("save", "@guest -o @stream --to @there.offer --trust @root.pem")
    try shop.must("load", "@stream --instance @there.svsm -o @out --trust @root.pem")
    try shop.requireSame("guest", "out")
    #expect(try shop.read("out/service-0.bin") == Array("a TPM's state".utf8))
  }

  @Test(arguments: ["none", "4M-8388607", "all"])
  func theRawBlockOfABootedGuestMigrates(isPrivate: String) throws {
    let shop = try Workshop()
    try shop.write("ram", try Fixture.read("qemu/pc72-boot/pc.ram.bin.xz"))
    try shop.prepare("there")
    let run = try #require(
      Program.pipe(
        shop.words(
          "save",
          "@ram -o - --private \(isPrivate) --machine pc-i440fx-7.2 --to @there.offer --trust @root.pem"
        ),
        into: shop.words(
          "load", "- --instance @there.svsm -o @out --output-format raw --trust @root.pem")))
    #expect(run.second.status == 0, "\(run.second.errors)")
    #expect(Program.run(["cmp", shop["ram"], shop["out"]])?.status == 0)
  }

  @Test func aRawImageBecomesABundleWithHoles() throws {
    let shop = try Workshop()
    var image = [UInt8](repeating: 0, count: 4 << 20)
    image[0] = 1
    image[2_000_000] = 2
    try shop.write("image", image)
    try shop.must(
      "guest", "import @image -o @guest --machine q35 --vcpus 3 --private 0x0-0xfffff")
    #expect(try shop.read("guest/ram-0.bin") == image)
    let blocks = try #require(Program.run(["stat", "-c", "%b", shop["guest/ram-0.bin"]]))
    #expect(try #require(Int(blocks.text.split(separator: "\n")[0])) < 1024)
    let guest = try GuestReader(bundle: shop["guest"]).description
    #expect(guest.vcpus.map(\.apicID) == [0, 1, 2])
    #expect(guest.pageStates.pages(in: .validated) == 256)
  }

  @Test func aVMSAPageIsTakenAsItIs() throws {
    let shop = try Workshop()
    try shop.must("guest", "create -o @other --memory 64K --vcpus 2")
    try shop.write("image", [UInt8](repeating: 1, count: 8192))
    try shop.must(
      "guest", "import @image -o @guest --vmsa @other/vcpu-0.vmsa --vmsa @other/vcpu-1.vmsa")
    for index in 0..<2 {
      #expect(try shop.read("guest/vcpu-\(index).vmsa") == shop.read("other/vcpu-\(index).vmsa"))
    }
    try shop.run("guest", "import @image -o @bad --vmsa @image").requireRefusal(.inputKind)
    try shop.write("zero", [UInt8](repeating: 0, count: 4096))
    try shop.run("guest", "import @image -o @bad --vmsa @zero").requireRefusal(.vcpuVMPL)
  }

  /// Rows: part of a real stream that is changed, and what is said.
  @Test func aStreamThatIsNotWholeIsRefused() throws {
    let shop = try Workshop()
    let whole = try Fixture.read("qemu/pc72-boot/stream.xz")
    try shop.write("cut", Array(whole.prefix(whole.count / 2)))
    try shop.run("guest", "import @cut -o @guest").requireRefusal(.streamTruncated)
    try shop.write("odd", [UInt8](repeating: 0, count: 5000))
    try shop.run("guest", "import @odd -o @guest").requireRefusal(.guestShape)
    try shop.run("guest", "import @odd -o @guest --format qemu").requireRefusal(.streamMagic)
    try shop.write("whole", whole)
    try shop.run("guest", "import @whole -o @guest --machine virt").requireRefusal(.configuration)
    try shop.write("snp", Fixture.read("golden/tiny/stream.mig"))
    try shop.run("guest", "import @snp -o @guest").requireRefusal(.streamKind)
    // An SNP stream taken for a memory image would be exported as the memory it is not.
    try shop.run("guest", "export @snp -o @s --format raw").requireRefusal(.inputKind)
    #expect(!shop.exists("guest") && !shop.exists("s"))
  }

  @Test func aGuestIsShown() throws {
    let shop = try Workshop()
    try shop.makeGuest()
    let text = try shop.must("guest", "show @guest").text
    #expect(text.contains("machine   pc-q35-10.0\n"))
    #expect(text.contains("0x0-0x7ffff"))
    let json = try JSON(parsing: shop.must("guest", "show @guest --json").output)
    #expect(json["schema"] == "svsm-migration/guest/2")
    #expect(json["vcpus"]?.array?.count == 2)
    let pages = json["pageStates"]?.array?.compactMap { $0["pages"]?.int } ?? []
    #expect(pages.reduce(0, +) == 128)
    try shop.run("guest", "show @missing").requireRefusal(.inputOpen)
    try shop.run("guest", "show @there --json").requireRefusal(.inputOpen)
  }
}

/// What QEMU's `info registers` printed for the first vCPU.
private struct MonitorRegisters {
  private let lines: [Substring]

  init(_ bytes: [UInt8]) {
    lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
  }

  /// `NAME=hex` anywhere in the text.
  subscript(name: String) -> UInt64? {
    for line in lines {
      let text = line.replacing(" =", with: "=")
      for word in text.split(separator: " ") where word.hasPrefix("\(name)=") {
        return UInt64(word.dropFirst(name.count + 1), radix: 16)
      }
    }
    return nil
  }

  /// `NAME =selector base limit flags`; a table has no selector and no flags.
  func segment(_ name: String) -> Segment? {
    guard
      let line = lines.first(where: { $0.hasPrefix("\(name) =") || $0.hasPrefix("\(name)=") }),
      let mark = line.firstIndex(of: "=")
    else { return nil }
    let words = line[line.index(after: mark)...].split(separator: " ").compactMap {
      UInt64($0, radix: 16)
    }
    if words.count == 2 {
      return Segment(attributes: 0, limit: UInt32(words[1]), base: words[0])
    }
    guard words.count >= 4 else { return nil }
    return Segment(
      selector: UInt16(words[0]),
      attributes: UInt16(words[3] >> 8 & 0xFF | words[3] >> 12 & 0xF00),
      limit: UInt32(words[2]), base: words[1])
  }

  /// The 16 bytes of a vector register as memory holds them.
  func xmm(_ index: Int) -> [UInt8]? {
    let name = "XMM\(index < 10 ? "0" : "")\(index)="
    for line in lines {
      guard let start = line.range(of: name)?.upperBound else { continue }
      let words = line[start...].split(separator: " ").prefix(2)
      return Hex.decode(words.joined()).map { $0.reversed() }
    }
    return nil
  }
}
