import Errors
import JSON
import QEMUStream
import Testing
import Wire

@Suite struct VMDescriptionTests {
  private let description = VMDescription(devices: [SmallStreams.device])

  @Test func theWrittenTextHasQEMUsShape() throws {
    let text = """
      {"page_size": 4096, "devices": [{"name": "dev", "instance_id": 2, "vmsd_name": "dev", \
      "version": 7, "fields": [{"name": "count", "type": "uint16", "size": 2}, {"name": "on", \
      "type": "bool", "size": 1}, {"name": "list", "array_len": 3, "type": "int8", "size": 1}, \
      {"name": "part", "type": "struct", "struct": {"vmsd_name": "part", "version": 1, "fields": \
      [{"name": "x", "type": "uint8", "size": 2}]}, "size": 2}, {"name": "raw", "type": \
      "buffer", "size": 2}], "subsections": [{"vmsd_name": "dev/more", "version": 1, "fields": \
      [{"name": "y", "type": "uint8", "size": 1}]}]}]}
      """
    #expect(description.json.description == text)
    #expect(try VMDescription(parsing: Array(text.utf8)) == description)
  }

  @Test func aBodyIsAsLongAsItIsDescribedAndDecodes() throws {
    let body = SmallStreams.deviceBody
    #expect(SmallStreams.device.body.size == body.count)
    let value = try SmallStreams.device.body.decode(body.span)
    let text = """
      {"count": "0x1234", "on": true, "list": ["0xff (-1)", "0x00", "0x01"], "part": {"x": \
      "0xabcd"}, "raw": "7e 00", "dev/more": {"y": "0x55"}}
      """
    #expect(value.description == text)
  }

  @Test func aBodyOfAnotherLengthIsRefused() {
    let body = SmallStreams.deviceBody
    for length in 0...body.count + 1 where length != body.count {
      let changed = Array((body + [0]).prefix(length))
      let refusal = #expect(throws: MigrationError.self) {
        try SmallStreams.device.body.decode(changed.span)
      }
      #expect(refusal?.code == .vmdescriptionMismatch)
    }
  }

  @Test func anotherSubsectionIsRefused() {
    var body = SmallStreams.deviceBody
    body[12] ^= 1
    let refusal = #expect(throws: MigrationError.self) {
      try SmallStreams.device.body.decode(body.span, at: 0x100)
    }
    #expect(refusal?.code == .vmdescriptionMismatch)
    #expect(refusal?.offset == 0x10A)
  }

  /// Elements of no bytes must not cost time or memory without end.
  @Test func emptyElementsWithoutEndAreRefused() throws {
    var body = VMDescription.Body(
      "inner", version: 1, fields: [.init("e", type: "buffer", size: 0, run: .array(1 << 40))])
    for _ in 0..<8 {
      body = .init(
        "outer", version: 1,
        fields: [.init("s", type: "struct", size: 0, run: .array(1 << 40), body: body)])
    }
    #expect(body.size == 0)
    let none: [UInt8] = []
    let refusal = #expect(throws: MigrationError.self) { try body.decode(none.span) }
    #expect(refusal?.code == .vmdescriptionSyntax)
  }

  @Test(arguments: [
    [VMDescription.Field("a", type: "x", size: .max, run: .array(2))],
    [.init("a", type: "x", size: .max), .init("b", type: "x", size: 1)],
    [.init("a", type: "x", size: 1 << 63)],
  ])
  func aSizeThatOverflowsIsNone(fields: [VMDescription.Field]) {
    #expect(VMDescription.Body("x", version: 1, fields: fields).size == nil)
  }

  /// Descriptions no reader can use.
  @Test(arguments: [
    "", "[]", "{\"devices\": [{}]}", "{\"devices\": [{\"name\": \"a\", \"instance_id\": 0}]}",
    "{\"devices\": [{\"name\": \"a\", \"instance_id\": -1, \"fields\": []}]}",
    "{\"devices\": [{\"name\": \"a\", \"instance_id\": 0, \"fields\": [{\"name\": \"b\"}]}]}",
    """
    {"devices": [{"name": "a", "instance_id": 0, "fields": [{"name": "b", "type": "struct", \
    "size": 1}]}]}
    """,
    """
    {"devices": [{"name": "a", "instance_id": 0, "fields": [{"name": "b", "type": "x", \
    "size": 1, "array_len": -1}]}]}
    """,
    """
    {"devices": [{"name": "a", "instance_id": 0, "fields": [], "subsections": [{"fields": []}]}]}
    """,
  ])
  func aDescriptionWithoutWhatLengthsNeedIsRefused(text: String) {
    let refusal = #expect(throws: MigrationError.self) {
      try VMDescription(parsing: Array(text.utf8), isOurs: true)
    }
    #expect(refusal?.code == .vmdescriptionSyntax)
  }

  @Test func repeatedKeysOfAListAreAccepted() throws {
    let text = """
      {"devices": [{"name": "a", "instance_id": 0, "fields": [{"name": "q", "type": "qtailq", \
      "vmsd_name": "e", "version": 1, "fields": [{"name": "x", "type": "uint8", "size": 1}], \
      "vmsd_name": "e", "version": 1, "fields": [{"name": "x", "type": "uint8", "size": 1}], \
      "size": 5}]}]}
      """
    let device = try VMDescription(parsing: Array(text.utf8)).devices[0]
    #expect(device.body.size == 5)
    let body: [UInt8] = [1, 0xAA, 1, 0xBB, 0]
    #expect(try device.body.decode(body.span) == ["q": "01 aa 01 bb 00"])
  }

  /// Lengths whose bytes are braces or zero do not mislead.
  @Test(arguments: [2, 0x7B, 0x7B00, 0x7B7B, 0x100, 0x10000, 0x7B012])
  func theTextIsFoundFromTheEnd(size: Int) {
    let text = [UInt8(ascii: "{")] + [UInt8](repeating: 0x20, count: size - 2) + [0x7D]
    var bytes = SmallStreams.written
    bytes.append(RecordType.vmdescription.rawValue)
    bytes.append(bigEndian: UInt32(size))
    let start = bytes.count
    bytes += text
    #expect(VMDescription.locate(inTail: bytes.span) == start..<bytes.count)
    for damaged in [bytes + [0x20], bytes + [0], Array(bytes.dropLast())] {
      #expect(VMDescription.locate(inTail: damaged.span) == nil)
    }
  }

  @Test func aTailWithoutADescriptionHasNone() {
    let tails: [[UInt8]] = [
      [], [0], Array("{}".utf8), [0] + Array("{}".utf8), SmallStreams.written,
    ]
    for tail in tails { #expect(VMDescription.locate(inTail: tail.span) == nil) }
  }
}
