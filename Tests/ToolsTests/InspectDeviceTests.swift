import Cryptography
import JSON
import QEMUStream
import TestSupport
import Testing
import Wire

/// `svsm-mig-inspect --devices` on streams of the real QEMU.
@Suite struct InspectDeviceTests {
  static let cases = ["pc72-boot", "q35-72-boot", "pc100-boot", "pc72-tiny"]

  /// Writes a stream into the folder.
  private func stream(_ name: String, in shop: Workshop) throws -> [UInt8] {
    let bytes = try Fixture.read("qemu/\(name)/stream.xz")
    try shop.write("stream", bytes)
    return bytes
  }

  private func inspect(_ shop: Workshop) throws -> JSON {
    try shop.must("inspect", "@stream --devices --sections --json").json
  }

  /// Every field of every device, by what QEMU's own script made of the stream. There is no
  /// difference; where the script would be wrong is in `DeviceStateTests`.
  @Test(arguments: cases) func everyFieldIsThatOfAnalyzeMigration(name: String) throws {
    let shop = try Workshop()
    _ = try stream(name, in: shop)
    let found = try inspect(shop)
    let analysed = try JSON(parsing: Fixture.read("qemu/\(name)/analyze.json.xz"))
    let sections = found["sections"]?.array ?? []
    let devices = try #require(found["devices"]?.array)
    #expect(found["devicesOmitted"] == 0)
    // One entry is `ram`, no device.
    #expect(analysed.members?.count == devices.count + 1)
    for device in devices {
      let name = device["name"]?.string ?? ""
      let section = try #require(
        sections.first {
          $0["name"] == device["name"] && $0["instance"] == device["instanceID"]
        })
      let expected = try #require(analysed["\(name) (\(section["id"]?.int ?? -1))"])
      expectEqual(device["fields"], expected, name)
      #expect(device["offset"] == section["bodyOffset"] && device["size"] == section["size"])
      #expect(device["instance"] == device["instanceID"])
    }
    let cpu = try #require(devices.first { $0["name"] == "cpu" })
    #expect(
      cpu["described"]?.array?.map { $0["path"]?.string }
        == (0..<8).map {
          "/env.fpregs/\($0)/tmp"
        })
    #expect(cpu["described"]?.array?[0]["value"]?["tmp_exp"]?.string?.count == 6)
  }

  /// Names the field that differs, not the device alone.
  private func expectEqual(_ found: JSON?, _ expected: JSON, _ place: String) {
    if let members = expected.members, let others = found?.members {
      #expect(others.map(\.key) == members.map(\.key), "\(place)")
      for (member, other) in zip(members, others) {
        expectEqual(other.value, member.value, "\(place)/\(member.key)")
      }
    } else if let elements = expected.array, let others = found?.array {
      #expect(others.count == elements.count, "\(place)")
      for (index, (element, other)) in zip(elements, others).enumerated() {
        expectEqual(other, element, "\(place)/\(index)")
      }
    } else {
      #expect(found == expected, "\(place)")
    }
  }

  /// Footers tell where bodies end.
  @Test(arguments: cases.dropLast()) func withoutADescriptionBodiesAreListed(name: String) throws {
    let shop = try Workshop()
    let bytes = try stream(name, in: shop)
    let whole = try inspect(shop)
    let size = try #require(whole["vmdescription"]?["size"]?.int)
    try shop.write("stream", Array(bytes.dropLast(size + 5)))
    let found = try inspect(shop)
    let devices = try #require(found["devices"]?.array)
    #expect(found["complete"] == true)
    for key in ["name", "instanceID", "offset", "size", "sha256"] {
      #expect(devices.map { $0[key] } == whole["devices"]?.array?.map { $0[key] }, "\(key)")
    }
    for device in devices {
      #expect(device["fields"] == nil && device["error"]?["code"] == "VMDESC-MISSING")
      let start = try #require(device["offset"]?.int)
      let end = start + (try #require(device["size"]?.int))
      #expect(device["sha256"]?.string == Hex.encode(try SHA256.hash(Array(bytes[start..<end]))))
    }
    let text = try shop.must("inspect", "@stream --devices").text
    #expect(text.contains("  not decoded: [VMDESC-MISSING]"))
    let first = try #require(devices.first)
    #expect(text.contains("\(first["size"]?.int ?? 0), SHA-256 \(first["sha256"]?.string ?? "")\n"))
  }

  /// A stream of `count` sections of no bytes, each described as an array of 65536 elements of none.
  private func emptySections(_ count: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.appendFileHeader()
    bytes.append(Configuration(machine: "none"))
    var devices: [VMDescription.Device] = []
    for index in 0..<count {
      let name = SectionName("d\(index)") ?? "d"
      bytes.append(SectionHeader(.full, id: UInt32(index), name: name, version: 1))
      bytes.append(StreamGrammar.Footer(id: UInt32(index)))
      let field = VMDescription.Field("a", type: "uint8", size: 0, run: .array(65536))
      devices.append(.init(name: "d\(index)", body: .init("x", version: 1, fields: [field])))
    }
    bytes.appendEOF()
    bytes.append(VMDescription(devices: devices))
    return bytes
  }

  /// What a small file describes has one measure for the whole call: what is cut says so.
  @Test func elementsWithoutBytesAreShownOnce() throws {
    let shop = try Workshop()
    try shop.write("stream", emptySections(2000))
    let outcome = try shop.must("inspect", "@stream --devices --json")
    let devices = try #require(try outcome.json["devices"]?.array)
    #expect(devices.count == 2000)
    let shown = devices.filter { $0["fields"] != nil }
    #expect(shown.count == 1 && shown.first?["fields"]?["a"]?.array?.count == 65536)
    #expect(devices.last?["error"]?["what"] == "VM description has too many elements")
    #expect(outcome.text.utf8.count < 4 << 20)
    let text = try shop.must("inspect", "@stream --devices").text
    #expect(text.split(separator: "\n").count { $0.contains("too many elements") } == 1999)
  }

  /// A body of megabytes is counted, not shown.
  @Test func aBodyThatIsTooLongIsCounted() throws {
    let shop = try Workshop()
    var bytes: [UInt8] = []
    bytes.appendFileHeader()
    bytes.append(Configuration(machine: "none"))
    var devices: [VMDescription.Device] = []
    for (index, size) in [2 << 20, 2 << 20 + 1].enumerated() {
      bytes.append(
        SectionHeader(
          .full, id: UInt32(index), name: "d", instance: UInt32(index), version: 1))
      bytes += [UInt8](repeating: 0x5A, count: size)
      bytes.append(StreamGrammar.Footer(id: UInt32(index)))
      devices.append(
        .init(
          name: "d", instance: UInt32(index),
          body: .init(
            "d", version: 1, fields: [.init("raw", type: "buffer", size: UInt64(size))])))
    }
    bytes.appendEOF()
    bytes.append(VMDescription(devices: devices))
    try shop.write("stream", bytes)
    let text = try shop.must("inspect", "@stream --devices").text
    #expect(text.hasSuffix("\n1 section too large to be kept\n"))
    let found = try inspect(shop)
    #expect(found["devicesOmitted"] == 1)
    #expect(
      found["devices"]?.array?.map { $0["fields"]?["raw"]?.string?.utf8.count } == [6_291_455])
  }
}
