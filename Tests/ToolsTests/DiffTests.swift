import Errors
import Foundation
import JSON
import TestSupport
import Testing

/// `svsm-mig-diff A B`: two streams, or guests, that differ in one thing, are said to differ in that thing.
@Suite struct DiffTests {
  private let shop: Workshop
  private static let keys = "--instance @there.svsm"

  init() throws {
    shop = try Workshop()
    try shop.prepare("there", seed: "01")
  }

  /// Makes the guest `name`, and the stream of it that one seed gives.
  private func make(_ name: String, _ options: String = "", rounds: String = "") throws {
    try shop.must(
      "guest",
      "create -o @\(name) --memory 256K --vcpus 2 --private-fraction 0.5 --seed 02 \(options)")
    try save(name, rounds)
  }

  private func save(_ name: String, _ rounds: String = "", seed: String = "03") throws {
    try shop.must(
      "save",
      "@\(name) -o @\(name).mig --to @there.offer --trust @root.pem --seed \(seed) --force \(rounds)"
    )
  }

  /// Changes a byte of a file.
  private func flip(_ file: String, at place: Int) throws {
    var bytes = try shop.read(file)
    bytes[place] ^= 1
    try shop.write(file, bytes)
  }

  private func diff(
    _ line: String, status: Int32 = 1, location: SourceLocation = #_sourceLocation
  ) throws -> String {
    let outcome = try shop.run("diff", line)
    #expect(
      outcome.status == status, "\(outcome.text)\(outcome.errors)", sourceLocation: location)
    return outcome.text
  }

  /// Lines that say what differs: those between the two sides and what is folded.
  private func own(_ text: String) -> [String] {
    text.split(separator: "\n").dropFirst(2).map(String.init)
      .filter { !$0.contains("] :") && !$0.contains("]: ") && !$0.hasPrefix("  ") }
      .filter { !$0.hasPrefix("different: ") && !$0.hasPrefix("not compared: ") }
  }

  @Test("The same stream, and the same guest, is equal, and nothing is listed")
  func theSameIsEqual() throws {
    try make("a")
    let text = try diff("@a.mig @a.mig \(Self.keys)", status: 0)
    #expect(text.hasSuffix("\nequal\n") && own(text) == ["equal"], "\(text)")
    let guests = try diff("@a @a", status: 0)
    #expect(guests.hasSuffix("\nequal\n"), "\(guests)")
  }

  @Test("A register of one vCPU is named, with both values and nothing else")
  func aRegisterIsNamed() throws {
    try make("a")
    try FileManager.default.copyItem(atPath: shop["a"], toPath: shop["b"])
    try flip("b/vcpu-1.vmsa", at: 0x178)
    try save("b")
    let text = try diff("@a.mig @b.mig \(Self.keys)")
    let lines = own(text)
    #expect(lines.count == 1 && lines[0].hasPrefix("vcpu 1: RIP  0x"), "\(text)")
    #expect(text.contains("follows from the rest of the stream [derived]"), "\(text)")
    // Without keys the record is named whose content is another one.
    let keyless = own(try diff("@a.mig @b.mig"))
    #expect(
      keyless.count == 1
        && keyless[0] == "final record vcpu 1: differs, encrypted under the same key")
    #expect(try diff("@a @b").contains("\nvcpu 1: RIP  0x"))
  }

  @Test("One page is named by its guest-physical address, with keys and without")
  func aPageIsNamed() throws {
    try make("a")
    try FileManager.default.copyItem(atPath: shop["a"], toPath: shop["b"])
    let states = try shop.must("inspect", "@a.mig --json \(Self.keys)").json["pageStates"]?.array
    let run = try #require(states?.first { $0["state"] == "validated" })
    let gpa = try #require(Int(run["gpa"]?.string?.dropFirst(2) ?? "", radix: 16))
    try flip("b/ram-0.bin", at: gpa + 5)
    try save("b")
    let range = "0x\(String(gpa, radix: 16))-0x\(String(gpa + 4095, radix: 16))"
    let text = try diff("@a.mig @b.mig \(Self.keys)")
    #expect(own(text) == ["memory: 1 page of pc.ram differs: \(range)"], "\(text)")
    let keyless = try diff("@a.mig @b.mig")
    #expect(
      own(keyless).contains(
        "memory: 1 page of pc.ram differs, encrypted under the same key: \(range)"), "\(keyless)")
    #expect(try diff("@a @b.mig \(Self.keys)").contains(range))
    let json = try shop.run("diff", "@a @b --json").json
    #expect(json["equal"] == false && json["exitStatus"] == 1)
    #expect(json["pages"]?.array?.count == 1 && json["differences"]?.array?.isEmpty == true)
  }

  @Test("A state of pages is named, with what it was and what it is")
  func aPageStateIsNamed() throws {
    try make("a")
    try FileManager.default.copyItem(atPath: shop["a"], toPath: shop["b"])
    // The permissions of VMPL2 in the first run of validated pages.
    let states = try shop.read("b/page-states.bin")
    let run = try #require(stride(from: 0, to: states.count, by: 24).first { states[$0 + 16] == 2 })
    try flip("b/page-states.bin", at: run + 22)
    try save("b")
    for sides in ["@a @b", "@a.mig @b.mig \(Self.keys)"] {
      let text = try diff(sides)
      let lines = own(text).filter { !$0.hasPrefix("records: ") }
      #expect(lines.count == 1 && lines[0].hasPrefix("page states: "), "\(text)")
      #expect(text.contains("VMPL0/1/2/3 rwus/rwus/rwus/- → rwus/rwus/wus/-"), "\(text)")
    }
  }

  @Test("An epoch more is named, with its counts")
  func anEpochIsNamed() throws {
    try make("a")
    try make("b", "--round 1")
    try save("a", "--round @b")
    try make("c")
    let text = try diff("@c.mig @a.mig \(Self.keys)")
    #expect(text.contains("\nepoch 2: only in B\n"), "\(text)")
    #expect(text.contains("\nrecords: "), "\(text)")
    // What differs in one way is one line, whatever else the records say.
    let ways = text.split(separator: "\n").filter { $0.hasPrefix("records: ") }
      .map { $0.drop { $0 != "f" }.prefix { $0 != "0" } }
    #expect(Set(ways).count == ways.count, "\(text)")
  }

  @Test("A field of a device is named by the VM description, in streams and in guests")
  func aFieldOfADeviceIsNamed() throws {
    let guest = Fixture.path("golden/devices/guest")
    for name in ["a", "b"] {
      try FileManager.default.copyItem(atPath: guest, toPath: shop[name])
    }
    let machine = try shop.read("b/machine-state.bin")
    // The name comes in the description, and then before the body, which is one byte.
    let name = Array("port92".utf8)
    let place = try #require(
      machine.indices.last { machine[$0...].starts(with: name) }.map { $0 + name.count })
    try flip("b/machine-state.bin", at: place)
    for side in ["a", "b"] { try save(side) }
    for sides in ["@a @b", "@a.mig @b.mig \(Self.keys)", "@a.mig @b.mig"] {
      let text = try diff(sides)
      #expect(own(text).first?.hasPrefix("device port92: outport  0x") == true, "\(text)")
      #expect(own(text).count == 1, "\(text)")
    }
    #expect(try diff("@a @b --ignore device/port92", status: 0).contains("left out by --ignore: 1"))
    #expect(try diff("@a @b --ignore device/p*/outport", status: 0).hasSuffix("equal\n"))
  }

  @Test("A field of a section that travels sealed is named where an instance opens it")
  func aSealedFieldIsNamed() throws {
    for name in ["a", "b"] {
      try FileManager.default.copyItem(
        atPath: Fixture.path("golden/devices/guest"), toPath: shop[name])
    }
    let machine = try shop.read("b/machine-state.bin")
    // A subsection: its name, its version, then the number of eight bytes.
    let name = Array("cpu/msr_smi_count".utf8) + [0, 0, 0, 1]
    let place = try #require(
      machine.indices.first { machine[$0...].starts(with: name) }.map { $0 + name.count + 7 })
    try flip("b/machine-state.bin", at: place)
    for side in ["a", "b"] { try save(side) }
    for sides in ["@a @b", "@a.mig @b.mig \(Self.keys)", "@a @b.mig \(Self.keys)"] {
      let text = try diff(sides)
      #expect(text.contains("\ndevice cpu: "), "\(text)")
      #expect(text.contains("env.msr_smi_count  0x"), "\(text)")
    }
    #expect(try !diff("@a.mig @b.mig").contains("device cpu"))
  }

  @Test("Another session is one line, and is left out by its cause")
  func anotherSessionIsOneLine() throws {
    try make("a")
    try FileManager.default.copyItem(atPath: shop["a"], toPath: shop["b"])
    try save("b", seed: "04")
    let text = try diff("@a.mig @b.mig \(Self.keys)")
    #expect(own(text).isEmpty, "\(text)")
    #expect(text.contains("each session has its own [session]: session ("), "\(text)")
    #expect(
      try diff("@a.mig @b.mig \(Self.keys) --ignore session --ignore derived", status: 0)
        .hasSuffix("equal\n"))
    // Without keys, no page is said to differ, and the text says why.
    let keyless = try diff("@a.mig @b.mig")
    #expect(own(keyless).isEmpty && keyless.contains("not compared: "), "\(keyless)")
    #expect(keyless.contains("private pages: encrypted; --instance names"), "\(keyless)")
  }

  @Test("A guest is the guest that its stream restores, and the one that its stream holds")
  func aGuestIsWhatItsStreamHolds() throws {
    try make("a")
    let text = try diff("@a @a.mig \(Self.keys) --ignore generation", status: 0)
    #expect(own(text) == ["left out by --ignore: 1", "equal"], "\(text)")
    try shop.must(
      "load", "@a.mig --instance @there.svsm -o @b --trust @root.pem --accept-seeded")
    let guests = try diff("@a @b")
    #expect(own(guests).isEmpty && guests.contains("rises with each migration [generation]: "))
  }

  @Test("What a QEMU saved is what was imported from it", arguments: ["pc72-boot", "pc100-boot"])
  func aStreamOfQEMUIsItsGuest(name: String) throws {
    try shop.write("stream", Fixture.read("qemu/\(name)/stream.xz"))
    try shop.must("guest", "import @stream -o @guest")
    let text = try diff("@stream @guest", status: 0)
    #expect(own(text).last?.hasPrefix("equal") == true, "\(text)")
  }

  @Test("The same machine saved by two QEMUs: configuration, sections, fields, pages")
  func twoQEMUsAreCompared() throws {
    try shop.write("old", Fixture.read("qemu/pc72-boot/stream.xz"))
    try shop.write("new", Fixture.read("qemu/pc100-boot/stream.xz"))
    let text = try diff("@old @new")
    for line in [
      "configuration: machine  pc-i440fx-7.2 → pc-i440fx-10.0",
      "section: another order: where A has fw_cfg, B has ",
      "  runstate  100 → 32 bytes, differs from +0x20 on  00 → none\n",
      "VM description hpet (fields[3].name)", "vcpu 0: ", "memory: ",
      "moved because time passed [clock]: ", "time of day moved [rtc]: device mc146818rtc",
    ] {
      #expect(text.contains(line), "\(line)\n\(text)")
    }
    // A field of another name, which the description tells.
    #expect(!text.contains("num_timers"), "\(text)")
    #expect(text.split(separator: "\n").count < 120, "\(text)")
  }

  @Test("Deltas, channels of pages and pages of other sizes are compared by their content")
  func contentIsCompared() throws {
    for name in ["pc72-boot-live-xbzrle", "pc72-tiny-compress", "avr-72-uno", "pc100-boot-mapped"] {
      try shop.write("stream", Fixture.read("qemu/\(name)/stream.xz"))
      #expect(try diff("@stream @stream", status: 0).hasSuffix("\nequal\n"), "\(name)")
      let piped = try shop.run("diff", "- @stream", input: shop["stream"])
      #expect(piped.status == 0, "\(name): \(piped.text)")
    }
  }

  @Test("A letter of the VM description is a difference, in streams and in guests, and is named")
  func theDescriptionIsCompared() throws {
    try shop.write("plain", Fixture.read("qemu/pc72-boot/stream.xz"))
    try changeLetter(of: "plain", to: "changed")
    let text = try diff("@plain @changed")
    #expect(own(text).count == 1, "\(text)")
    #expect(
      text.contains("\nVM description port92: fields[0].name  outport → outporu\n"), "\(text)")
    #expect(text.contains("[derived]: VM description (sha256)"), "\(text)")
    for name in ["g", "h"] {
      try FileManager.default.copyItem(
        atPath: Fixture.path("golden/devices/guest"), toPath: shop[name])
    }
    try changeLetter(of: "g/machine-state.bin", to: "h/machine-state.bin")
    #expect(try diff("@g @h").contains("VM description port92: fields[0].name  outport → outporu"))
  }

  /// Changes the name of a field in the VM description.
  private func changeLetter(of file: String, to other: String) throws {
    var bytes = try shop.read(file)
    let name = Array("\"outport\"".utf8)
    let place = try #require(bytes.indices.last { bytes[$0...].starts(with: name) })
    bytes[place + 7] += 1
    try shop.write(other, bytes)
  }

  @Test("A page that was sent twice, with another first content, is a difference of bytes")
  func earlierContentIsCompared() throws {
    try make("a")
    try make("b", "--round 1")
    try save("a", "--round @b")
    let sections = try shop.must("inspect", "@a.mig --json --sections").json["sections"]?.array
    let first = try #require(
      sections?.first { $0["name"] == "snp-private-pages" && $0["type"] == "PART" })
    let place = try #require(first["bodyOffset"]?.uint.map { Int($0) })
    let again = try diff("@a.mig @a.mig", status: 0)
    #expect(again.contains("\nequal"), "\(again)")
    for step in 0..<4 {
      try shop.write("c.mig", shop.read("a.mig"))
      try flip("c.mig", at: place + 1000 + step * 4144)
      let text = try diff("@a.mig @c.mig")
      #expect(
        text.contains("encrypted under the same key") || text.contains("\nfile: bytes from 0x"),
        "\(text)")
    }
  }

  @Test("An SNP stream has footers, as a plain one has")
  func footersAreOfBoth() throws {
    try make("a")
    try shop.write("plain", Fixture.read("qemu/pc72-boot/stream.xz"))
    let text = try diff("@a.mig @plain --verbose")
    #expect(!text.contains("footers"), "\(text)")
  }

  @Test("A stream that is damaged is refused, and named")
  func whatIsDamagedIsRefused() throws {
    try make("a")
    try shop.write("cut", Array(shop.read("a.mig").prefix(50_000)))
    let outcome = try shop.run("diff", "@a.mig @cut")
    outcome.requireRefusal(.streamTruncated)
    #expect(outcome.errors.contains("/cut"))
    try shop.run("diff", "@a.mig @nothing").requireRefusal(.inputOpen)
  }
}
