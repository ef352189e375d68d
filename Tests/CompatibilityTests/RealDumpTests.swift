import Compatibility
import Errors
import QEMUStream
import TestSupport
import Testing

/// What QEMU itself wrote, against what QEMU itself wrote.
@Suite struct RealDumpTests {
  private static func dump(_ name: String) throws -> MachineDump {
    try MachineDump(parsing: Fixture.read("target/\(name).json.xz"), name: name)
  }

  private static func stream(_ name: String) throws -> ArrivingStream {
    let bytes = try Fixture.read("qemu/\(name)/stream.xz")
    return try ArrivingStream(reading: QEMUStreamReader(StreamInput(ArraySource(bytes))))
  }

  @Test("Each QEMU's dump takes what the same QEMU wrote, and has a word for every section")
  func ownStreamsFit() throws {
    for (name, own) in [
      ("pc72-boot", "qemu72"), ("pc72-boot-devices", "qemu72"), ("pc2.4-boot", "qemu72"),
      ("q35-72-boot", "qemu72"), ("q35-72-numa", "qemu72"), ("pc100-boot", "qemu100"),
      ("pc100-boot-dimm", "qemu100"),
    ] {
      let stream = try Self.stream(name)
      let report = Target(try Self.dump(own)).report(on: stream)
      #expect(
        report.findings.filter { !$0.contains("TARGET-MACHINE") } == [], "\(name)")
      #expect(report.devices.count == stream.sections.count)
      #expect(report.devices.count { $0.outcome == .fits } >= 14, "\(name)")
    }
  }

  @Test("QEMU 10 takes what 7.2 wrote for a machine of 7.2, and says which names are others")
  func streamsGoOn() throws {
    let report = Target(try Self.dump("qemu100")).report(on: try Self.stream("pc72-boot-devices"))
    #expect(report.refusal == nil)
    #expect(report.row("hpet")?.notes == ["num_timers is read as num_timers_save"])
    guard case .notCheckable = report.row("timer")?.outcome else {
      Issue.record("timer is in no dump")
      return
    }
  }

  @Test("Without a description, or without an end of a section, the dump says less, not more")
  func olderStreamsAreLessCheckable() throws {
    let target = Target(try Self.dump("qemu72"))
    let plain = target.report(on: try Self.stream("pc72-boot-novmdesc"))
    #expect(plain.refusal == nil)
    #expect(plain.devices.allSatisfy { $0.outcome != .fits })
    let old = target.report(on: try Self.stream("pc2.0-boot"))
    #expect(old.refusal == nil && old.rows.count > 3)
    #expect(old.rows.allSatisfy { $0.outcome != .fits })
  }

  @Test("Between two versions of QEMU are device types that are gone, and states that are others")
  func dumpsOfTwoVersionsDiffer() throws {
    let (old, new) = (try Self.dump("qemu72"), try Self.dump("qemu100"))
    #expect(old.report(on: old).refusal == nil && new.report(on: new).refusal == nil)
    let on = Set(new.report(on: old).findings)
    #expect(on.isSuperset(of: ["PIIX3-xen TARGET-SECTION", "qxl TARGET-SECTION"]))
    let back = Set(old.report(on: new).findings)
    #expect(
      back.isSuperset(of: [
        "igb TARGET-SECTION", "dc390 TARGET-VERSION", "sd-card TARGET-SUBSECTION",
        "acpi-ged TARGET-SUBSECTION", "virtio-gpu-device TARGET-SUBSECTION",
      ]))
    // QEMU's checker wants the names of fields to agree.
    #expect(!on.union(back).contains { $0.hasPrefix("hpet ") })
  }
}
