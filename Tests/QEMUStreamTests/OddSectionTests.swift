import Errors
import JSON
import QEMUStream
import Testing
import Wire

/// Sections as some of QEMU's devices write them.
@Suite struct OddSectionTests {
  /// A device of VFIO has live state, in parts, and a full section later, under one id; only the full one is
  /// described.
  @Test func oneDeviceMayComeInPartsAndThenFull() throws {
    var bytes = Array(SmallStreams.written.dropLast())
    let live: [UInt8] = [1, 2, 3, 4, 5, 6, 7]
    for kind in [SectionHeader.Kind.start, .part, .end, .full] {
      bytes.append(SectionHeader(kind, id: 9, name: "dev", instance: 2, version: 7))
      bytes += kind == .full ? SmallStreams.deviceBody : live
      bytes.append(StreamGrammar.Footer(id: 9))
    }
    bytes.appendEOF()
    let description = VMDescription(devices: [SmallStreams.device])
    bytes.append(description)
    for known in [nil, description] {
      let bodies = try SmallStreams.walk(bytes, description: known).bodies
      #expect(bodies == [live, live, live, SmallStreams.deviceBody])
    }
  }

  /// Two devices of one name and instance, each described, in their order.
  @Test func devicesOfOneNameAreToldApartByTheirOrder() throws {
    var bytes = Array(SmallStreams.written.dropLast())
    let bodies: [[UInt8]] = [[0x7E, 0, 0], [1, 2, 3, 4, 5]]
    for (index, body) in bodies.enumerated() {
      bytes.append(
        SectionHeader(.full, id: 8 + UInt32(index), name: "dev", instance: 0, version: 1))
      bytes += body
      bytes.append(StreamGrammar.Footer(id: 8 + UInt32(index)))
    }
    bytes.appendEOF()
    let description = VMDescription(
      devices: bodies.map { body in
        .init(
          name: "dev",
          body: .init(
            "dev", version: 1,
            fields: [.init("f", type: "buffer", size: UInt64(body.count))]))
      })
    bytes.append(description)
    for known in [nil, description] {
      #expect(try SmallStreams.walk(bytes, description: known).bodies == bodies)
    }
    let wrong = VMDescription(devices: description.devices.reversed())
    let refusal = #expect(throws: MigrationError.self) {
      try SmallStreams.walk(bytes, description: wrong)
    }
    #expect(refusal?.code == .vmdescriptionMismatch)
  }

  /// A description of which one entry says nothing that can be: that section is found by its footer.
  @Test func oneWrongDescriptionCostsOneSection() throws {
    var bytes = SmallStreams.full(described: false)
    bytes.removeLast()
    bytes.append(SectionHeader(.full, id: 10, name: "css", version: 1))
    bytes += [9, 9, 9]
    bytes.append(StreamGrammar.Footer(id: 10))
    bytes.appendEOF()
    let entry = "{\"name\": \"css\", \"instance_id\": 0, \"fields\": [{\"name\": \"x\"}]}"
    let good = VMDescription(devices: [SmallStreams.device]).json.description
    let text = good.dropLast(2) + ", " + entry + "]}"
    bytes.append(StreamGrammar.TextHeader(.vmdescription, length: text.utf8.count))
    bytes += Array(text.utf8)
    let description = try VMDescription(parsing: Array(text.utf8))
    #expect(description.devices.map(\.isReadable) == [true, false])
    for known in [nil, description] {
      let bodies = try SmallStreams.walk(bytes, description: known).bodies
      #expect(bodies == [SmallStreams.deviceBody, [9, 9, 9]])
    }
  }
}
