import Compatibility
import Errors
import JSON
import QEMUStream
import TestSupport
import Testing

@Suite struct TargetCheckTests {
  private typealias Field = VMDescription.Field

  /// What is said of a stream with these fields, at a destination with those.
  private func report(
    _ saved: [Field], _ target: [JSON], version: UInt32 = 1, known: Int = 1, oldest: Int = 1
  ) throws -> TargetReport {
    let dump = try Small.dump([("nic", Small.description("nic", known, from: oldest, target))])
    return Target(dump).report(on: Small.stream("nic", version: version, saved))
  }

  private func isGood(_ saved: [Field], _ target: [JSON], version: UInt32 = 1, known: Int = 1)
    throws -> Bool
  {
    try report(saved, target, version: version, known: known).refusal == nil
  }

  // MARK: The machine and the sections

  @Test(
    "As many bytes of the destination's machine type as came have to agree",
    arguments: [
      ("pc-q35-10.0", true), ("pc-q35-1", true), ("", true), ("pc-q35-10.1", false),
      ("pc-q35-10.0.1", false), ("q35", false),
    ])
  func machineTypesAreCompared(name: String, isGood: Bool) throws {
    var stream = Small.stream("nic", [Field("mac", type: "buffer", size: 6)])
    stream.configuration?.machine = Array(name.utf8)
    let dump = try Small.dump([("nic", Small.description("nic", [Small.field("mac", 6)]))])
    let report = Target(dump).report(on: stream)
    #expect(report.findings == (isGood ? [] : ["\(name) TARGET-MACHINE"]))
  }

  @Test("A section that no type has is refused, but not one that code registers")
  func absentSectionsAreTold() throws {
    let target = Target(try Small.dump([]))
    #expect(
      target.report(on: Small.stream("e1000x", [])).findings
        == ["0000:00:02.0/e1000x TARGET-SECTION"])
    for name in ["timer", "slirp", "eeprom", "i82551"] {
      let row = try #require(target.report(on: Small.stream(name, [])).devices.first)
      guard case .notCheckable = row.outcome else {
        Issue.record("\(name): \(row.outcome)")
        continue
      }
    }
  }

  /// Fields of one name are compared as one, and so at once.
  @Test("What one description gives many sections counts for each of them")
  func aDescriptionOfManySectionsIsCounted() throws {
    let field = Field("a", type: "buffer", size: 0)
    var stream = Small.stream("nic", Array(repeating: field, count: 200_000))
    stream.sections = Array(repeating: stream.sections[0], count: 30_000)
    let dump = try Small.dump([("nic", Small.description("nic", []))])
    let rows = Target(dump).report(on: stream).devices
    #expect(rows.count == 30_000)
    #expect(rows.first?.outcome == .fits)
    guard case .notCheckable(let reason)? = rows.last?.outcome else {
      Issue.record("\(String(describing: rows.last))")
      return
    }
    #expect(reason == "stream and dump are too large to compare")
  }

  @Test("Of many device types that fit a section the first are named and the rest counted")
  func fittingTypesAreCounted() throws {
    let state = Small.description("nic", [Small.field("mac", 6)])
    let dump = try Small.dump((0..<20).map { ("type-\($0)", state) })
    let stream = Small.stream("nic", [Field("mac", type: "buffer", size: 6)])
    let row = try #require(Target(dump).report(on: stream).devices.first)
    #expect(row.outcome == .fits)
    #expect(row.types == (0..<16).map { "type-\($0)" })
    #expect(row.notes == ["4 more device types fit"])
  }

  @Test("A device that the destination can make, without a state in its dump, is not checkable")
  func listedDevicesAreNotCheckable() throws {
    let list = #"name "odd-nic", bus PCI, alias "odder", desc "name "quoted"""#
    var target = Target(try Small.dump([]))
    target.devices = try TargetList(devices: Array(list.utf8), name: "devices")
    for name in ["odd-nic", "odder"] {
      let row = try #require(target.report(on: Small.stream(name, [])).devices.first)
      guard case .notCheckable = row.outcome else {
        Issue.record("\(row.outcome)")
        return
      }
    }
    #expect(target.report(on: Small.stream("PCI", [])).refusal?.code == .targetSection)
  }

  @Test("Without a description only the version is compared, and that is said")
  func undescribedSectionsAreNotCheckable() throws {
    let dump = try Small.dump([("nic", Small.description("nic", 3, [Small.field("mac", 6)]))])
    for (version, isRefused) in [(UInt32(2), false), (4, true), (0, true)] {
      var stream = Small.stream("nic", version: version, [])
      stream.description = nil
      let row = try #require(Target(dump).report(on: stream).devices.first)
      switch row.outcome {
      case .fits: Issue.record("nothing says that it fits")
      case .notCheckable: #expect(!isRefused)
      case .refused(let findings, _): #expect(isRefused && findings[0].code == .targetVersion)
      }
    }
  }

  @Test("Of several types with one name it is enough that one takes the section")
  func oneTypeIsEnough() throws {
    let dump = try Small.dump([
      ("old-nic", Small.description("nic", 1, [Small.field("mac", 6)])),
      ("new-nic", Small.description("nic", 2, from: 2, [Small.field("mac", 6)])),
    ])
    let saved = [Field("mac", type: "buffer", size: 6)]
    for (version, type) in [(UInt32(1), "old-nic"), (2, "new-nic")] {
      let report = Target(dump).report(on: Small.stream("nic", version: version, saved))
      #expect(report.devices[0].outcome == .fits)
      #expect(report.devices[0].types == [type])
    }
    let refused = Target(dump).report(on: Small.stream("nic", version: 3, saved))
    #expect(refused.findings == ["0000:00:02.0/nic TARGET-VERSION"])
    #expect(refused.refusal?.offset == 0x99)
  }

  // MARK: Fields

  @Test("A field of a later version is read only then")
  func versionsDecideAboutFields() throws {
    let target = [Small.field("a", 4), Small.field("b", 4, since: 2)]
    let (a, b) = (Field("a", type: "uint32", size: 4), Field("b", type: "uint32", size: 4))
    #expect(try isGood([a], target, version: 1, known: 2))
    #expect(try isGood([a, b], target, version: 2, known: 2))
    #expect(try !isGood([a], target, version: 2, known: 2))
    #expect(try !isGood([a, b], target, version: 1, known: 2))
  }

  @Test func whatCodeDecidesAboutMayBeThereOrNot() throws {
    let target = [Small.field("a", 4), Small.field("b", 4, conditional: true)]
    let (a, b) = (Field("a", type: "uint32", size: 4), Field("b", type: "uint32", size: 4))
    #expect(try isGood([a], target) && isGood([a, b], target))
    let renamed = [
      Small.field("a", 4), Small.field("x", 2, conditional: true),
      Small.field("y", 4, conditional: true), Small.field("z", 8, conditional: true),
    ]
    #expect(try isGood([a, b], renamed))
  }

  /// Rows: what a stream has, and a word of what is said of it where `a`, `b` and `c` of 4 bytes are read.
  @Test(arguments: [
    ([("a", "uint32", 4), ("c", "uint32", 4)], "missing"),
    (
      [("a", "uint32", 4), ("b", "uint32", 4), ("x", "uint32", 4), ("c", "uint32", 4)], "not known"
    ),
    ([("a", "uint32", 4), ("b", "uint16", 2), ("c", "uint32", 4)], "another size"),
    ([("b", "uint32", 4), ("a", "uint32", 4), ("c", "uint32", 4)], "another place"),
    ([("a", "uint32", 4), ("x", "uint64", 8), ("c", "uint32", 4)], "not known"),
    ([], "missing"),
  ])
  func otherFieldsAreRefused(fields: [(String, String, UInt64)], word: String) throws {
    let target = ["a", "b", "c"].map { Small.field($0, 4) }
    let report = try report(fields.map { Field($0.0, type: $0.1, size: $0.2) }, target)
    let error = try #require(report.refusal)
    #expect(error.code == .targetField)
    #expect(error.what.description.contains(word), "\(error)")
  }

  @Test("Names are not on the wire: the same bytes under other names are read")
  func otherNamesAreRead() throws {
    let target = [Small.field("a", 4), Small.field("unused", 12), Small.field("z", 1)]
    let saved = [
      Field("a", type: "uint32", size: 4), Field("irq", type: "uint32", size: 4),
      Field("base", type: "uint64", size: 8), Field("y", type: "bool", size: 1),
    ]
    let report = try report(saved, target)
    #expect(report.refusal == nil)
    #expect(report.devices[0].notes == ["irq, base, y is read as unused, z"])
  }

  @Test("A struct is not on the wire: fields may move into one, or out of it")
  func structsMayBeAddedAndRemoved() throws {
    let inner = Small.description("inner", [Small.field("a", 4), Small.field("b", 2)])
    let flat = [Field("a", type: "uint32", size: 4), Field("b", type: "uint16", size: 2)]
    #expect(try isGood(flat, [Small.field("s", 64, inner)]))
    let nested = Field(
      "s", type: "struct", size: 6, body: .init("inner", version: 1, fields: flat))
    #expect(try isGood([nested], [Small.field("a", 4), Small.field("b", 2)]))
    #expect(try isGood([nested], [Small.field("t", 64, inner)]))
    #expect(try !isGood([nested], [Small.field("a", 4), Small.field("b", 4)]))
  }

  @Test("A struct is read at the destination's own version, whatever that of the source")
  func structsAreReadAtTheirOwnVersion() throws {
    let newer = Small.description(
      "inner", 3, from: 3, [Small.field("a", 4), Small.field("b", 2, since: 3)])
    let old = Field(
      "s", type: "struct", size: 4,
      body: .init("inner", version: 1, fields: [Field("a", type: "uint32", size: 4)]))
    let report = try report([old], [Small.field("s", 64, newer)])
    #expect(report.findings == ["0000:00:02.0/nic TARGET-FIELD"])
  }

  @Test("Arrays agree in the number of elements where the dump says it")
  func arraysAreCounted() throws {
    let saved = [Field("a", type: "uint32", size: 4, run: .array(8))]
    #expect(try isGood(saved, [Small.field("a", 4)]))
    #expect(try isGood(saved, [Small.field("a", 4, num: 8)]))
    #expect(try isGood(saved, [Small.field("a", 8, num: 4)]))
    #expect(try !isGood(saved, [Small.field("a", 4, num: 9)]))
    let body = VMDescription.Body(
      "inner", version: 1, fields: [Field("x", type: "bool", size: 1)])
    let one = Field("s", type: "struct", size: 1, run: .element(0), body: body)
    // QEMU 10 gives the last element no index.
    let last = Field("s", type: "struct", size: 1, body: body)
    let inner = Small.description("inner", [Small.field("x", 1)])
    #expect(try isGood([one, last], [Small.field("s", 8, num: 2, inner)]))
    #expect(try !isGood([one, last], [Small.field("s", 8, num: 3, inner)]))
    #expect(try isGood([], [Small.field("s", 8, inner)]))
  }

  @Test("Of what only code reads nothing is said but how much it is")
  func opaqueFieldsAreCounted() throws {
    let report = try report(
      [Field("virtio", type: "virtio", size: 45574), Field("b", type: "bitmap", size: 32)],
      [Small.field("virtio", 0), Small.field("b", 8)])
    #expect(report.refusal == nil)
    #expect(report.devices[0].opaque == 2)
  }

  // MARK: Subsections

  @Test("A subsection that is not known is refused, and so is its version; a missing one is not")
  func subsectionsAreCompared() throws {
    let known = Small.description("nic/tx", 2, from: 2, [Small.field("a", 4)])
    let dump = try Small.dump([("nic", Small.description("nic", [], subsections: [known]))])
    for (name, version, code) in [
      ("nic/tx", UInt32(2), nil), ("nic/tx", 3, ErrorCode.targetVersion),
      ("nic/tx", 1, .targetVersion), ("nic/rx", 2, .targetSubsection),
    ] {
      let body = VMDescription.Body(
        name, version: version, fields: [Field("a", type: "uint32", size: 4)])
      let stream = Small.stream("nic", [], subsections: [body])
      #expect(Target(dump).report(on: stream).refusal?.code == code, "\(name) \(version)")
    }
    #expect(Target(dump).report(on: Small.stream("nic", [])).refusal == nil)
  }

  // MARK: RAM

  @Test("A block of another size is refused, unless it is resized or nothing compares it")
  func blocksAreCompared() throws {
    var stream = Small.stream("timer", [])
    stream.blocks = [
      RAMBlock(name: "pc.ram", length: 0x2000), RAMBlock(name: "/rom@etc/x", length: 0x1000),
      RAMBlock(name: "pc.bios", length: 0x1000),
    ]
    var target = Target(try Small.dump([]))
    target.ramSizes = [("pc.ram", 0x1000), ("/rom@etc/x", 0x2000), ("vga.vram", 0x1000)]
    #expect(target.report(on: stream).findings == ["pc.ram TARGET-RAM"])
    target.ramSizes[0].size = 0x2000
    let report = target.report(on: stream)
    #expect(report.refusal == nil && report.row("pc.ram")?.outcome == .fits)
    for name in ["/rom@etc/x", "pc.bios", "vga.vram"] {
      guard case .notCheckable = report.row(name)?.outcome else {
        Issue.record("\(name)")
        continue
      }
    }
    target.ramSizes[0].size = 0x1000
    stream.configuration?.capabilities = ["mapped-ram"]
    #expect(target.report(on: stream).refusal == nil)
  }

  // MARK: Bounds

  @Test("Findings are kept up to a limit, and counted beyond")
  func findingsAreBounded() throws {
    let fields = (0..<100).map { Field("x\($0)", type: "uint32", size: 4) }
    let report = try report(fields, [])
    guard case .refused(let findings, let more) = report.devices[0].outcome else { return }
    #expect(findings.count == 16 && more == 84)
  }

  @Test("Each section against each type, and each element against a large struct, ends")
  func workIsBounded() throws {
    let many = (0..<3000).map { Small.field("f\($0)", 1) }
    let types = (0..<16).map { ("type-\($0)", Small.description("nic", many)) }
    var stream = Small.stream("nic", [])
    let header = stream.sections[0]
    stream.sections = (0..<2000).map {
      var copy = header
      copy.id = UInt32($0)
      return copy
    }
    let report = Target(try Small.dump(types)).report(on: stream)
    #expect(report.devices.count == 2000)
    guard case .refused = report.devices[0].outcome,
      case .notCheckable = report.devices[1999].outcome
    else {
      Issue.record("the last would cost too much")
      return
    }
  }
}
