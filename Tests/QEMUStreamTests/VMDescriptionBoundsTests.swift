import Errors
import QEMUStream
import Testing
import Wire

/// How much a VM description may describe, and that its reader takes what it needs wherever it stands.
@Suite struct VMDescriptionBoundsTests {
  /// A description of one section whose fields are `fields`.
  private static func text(_ fields: String, devices: Int = 1) -> [UInt8] {
    let device = #"{"name": "d", "instance_id": 0, "vmsd_name": "x", "fields": [\#(fields)]}"#
    let all = Array(repeating: device, count: devices).joined(separator: ",")
    return Array(#"{"devices": [\#(all)]}"#.utf8)
  }

  private static func repeated(_ text: String, _ count: Int) -> String {
    Array(repeating: text, count: count).joined(separator: ",")
  }

  private static let limit = VMDescription.partLimit

  /// Texts of as many parts as there may be, beside section and structure and a field, and what of them one
  /// more repeats. Each text has fewer than 16 MiB.
  @Test(
    "Fields, elements of a list, structures and subsections are counted, and long names several times",
    arguments: [
      (#"{"name": "a", "type": "b", "size": 1}"#, 1, ""),
      (#""vmsd_name": "e", "fields": []"#, 1, #"{"name": "a", "type": "qlist", "size": 1, "#),
      (
        #""vmsd_name": "0123456789abcdef", "fields": []"#, 2,
        #"{"name": "a", "type": "qlist", "size": 1, "#
      ),
      (#"{"name": "0123456789abcdef", "type": "0123456789abcdef", "size": 1}"#, 3, ""),
      (#"{"name": "a", "type": "\#(String(repeating: "t", count: 200))", "size": 1}"#, 5, ""),
      (#"{"name": "a", "type": "struct", "struct": {"fields": []}, "size": 1}"#, 2, ""),
    ])
  func partsAreCounted(repeating part: String, parts: Int, start: String) throws {
    // Section and structure; a list is a field, too.
    let count = (Self.limit - (start.isEmpty ? 2 : 3)) / parts
    let end = start.isEmpty ? "" : "}"
    let most = Self.text(start + Self.repeated(part, count) + end)
    #expect(most.count <= VMDescription.sizeLimit)
    let body = try VMDescription(parsing: most).devices[0].body
    #expect((start.isEmpty ? body.fields.count : body.fields[0].bodies.count) == count)
    let more = Self.text(start + Self.repeated(part, count + 1) + end)
    let refusal = #expect(throws: MigrationError.self) {
      try VMDescription(parsing: more, at: 0x1000)
    }
    #expect(refusal?.code == .vmdescriptionSyntax)
    #expect(refusal?.what == "VM description describes too much")
    #expect(refusal?.expected == "at most 262144 sections, fields, structures and long names")
    // The place where it becomes too much, not the beginning.
    #expect((refusal?.offset ?? 0) > 0x1000 + UInt64(more.count) - 64 - UInt64(part.utf8.count))
  }

  @Test("A description has at most as many sections as a stream")
  func sectionsAreCounted() throws {
    let most = SectionTable.defaultLimit
    #expect(try VMDescription(parsing: Self.text("", devices: most)).devices.count == most)
    let refusal = #expect(throws: MigrationError.self) {
      try VMDescription(parsing: Self.text("", devices: most + 1))
    }
    #expect(refusal?.code == .vmdescriptionSyntax)
    #expect(refusal?.expected == "at most 32768")
  }

  @Test("A section that is described wrongly does not hide that there is too much")
  func aWrongSectionIsCounted() {
    let field = #"{"name": "a", "type": "b", "size": 1}"#
    let text = Self.text(Self.repeated(field, 5000) + ", {}", devices: 60)
    let refusal = #expect(throws: MigrationError.self) { try VMDescription(parsing: text) }
    #expect(refusal?.what == "VM description describes too much")
  }

  /// More values than any other JSON may have.
  @Test("What means nothing is passed over")
  func otherMembersAreNotCounted() throws {
    let zeros = Self.repeated("0", 1 << 20)
    let text = #"{"x": [\#(zeros)], "devices": [], "page_size": 4096}"#
    #expect(try VMDescription(parsing: Array(text.utf8)) == VMDescription())
  }

  @Test(
    "Members are read in any order, and of repeated ones the first, as other readers of JSON do")
  func membersComeInAnyOrder() throws {
    let text = """
      {"devices": [{"fields": [{"struct": {"fields": [], "vmsd_name": "in", "fields": 7}, "size": 3, \
      "size": 4, "type": "struct", "type": "b", "name": "s", "vmsd_name": "no"}, {"fields": [], \
      "struct": {}, "vmsd_name": "one", "version": 2, "version": 3, "fields": [], "vmsd_name": "none", \
      "size": 5, "name": "q", "type": "qlist"}], "version": 9, "x": {"fields": 1}, "vmsd_name": "out", \
      "instance_id": 3, "name": "d", "name": "e"}], "devices": 1}
      """
    let device = try #require(try VMDescription(parsing: Array(text.utf8)).devices.first)
    #expect(device.name == "d" && device.instance == 3 && device.isReadable)
    let inner = VMDescription.Field(
      "s", type: "struct", size: 3, body: .init("in", version: nil, fields: []))
    var list = VMDescription.Field("q", type: "qlist", size: 5)
    list.bodies = [.init(nil, version: nil, fields: []), .init("one", version: 2, fields: [])]
    #expect(device.body == .init("out", version: 9, fields: [inner, list]))
  }

  @Test("A section that is described wrongly is read as undescribed, and those after it are not")
  func aWrongSectionIsUndescribed() throws {
    for wrong in [
      "{}", "7", #"{"name": "a", "type": "b"}"#,
      #"{"name": "a", "type": "struct", "size": 1, "struct": {"fields": [[]]}}"#,
      #"{"name": "a", "type": "b", "size": 1, "array_len": -1}"#,
    ] {
      let text = Self.text(#"{"name": "a", "type": "b", "size": 1}, \#(wrong)"#, devices: 2)
      let devices = try VMDescription(parsing: text).devices
      #expect(devices.map(\.isReadable) == [false, false], "\(wrong)")
      #expect(devices.allSatisfy { $0.body.fields.isEmpty })
    }
  }

  /// A section of any number of parts, each of which is as long as is described.
  @Test("The length of a section is added up once")
  func manyPartsOfALongDescriptionTakeNoTime() throws {
    var bytes = Array(SmallStreams.written.dropLast())
    bytes.append(SectionHeader(.start, id: 9, name: "d", version: 1))
    bytes.append(StreamGrammar.Footer(id: 9))
    let parts = 200_000
    for _ in 0..<parts {
      bytes.append(StreamGrammar.PartHeader(.part, id: 9))
      bytes.append(StreamGrammar.Footer(id: 9))
    }
    bytes.appendEOF()
    let field = VMDescription.Field("a", type: "b", size: 0)
    let description = VMDescription(devices: [
      .init(
        name: "d",
        body: .init("x", version: 1, fields: Array(repeating: field, count: 250_000)))
    ])
    let found = try SmallStreams.walk(bytes, description: description)
    #expect(found.bodies.count == parts + 1 && found.bodies.allSatisfy(\.isEmpty))
  }
}
