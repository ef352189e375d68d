import Errors
import JSON
import QEMUStream
import Testing

/// What QEMU's analyze-migration script reads wrongly, shows as bytes, or ends at.
@Suite struct DeviceStateTests {
  private typealias Field = VMDescription.Field

  private func state(_ fields: [Field], _ body: [UInt8]) throws -> DeviceState {
    try VMDescription.Body("dev", version: 1, fields: fields).state(of: body.span, at: 0x100)
  }

  /// Fields as they stand in a stream's own text.
  private func state(text fields: String, _ body: [UInt8]) throws -> DeviceState {
    let text = """
      {"devices": [{"name": "d", "instance_id": 0, "vmsd_name": "d", "version": 1, "fields": \
      [\(fields)]}]}
      """
    let description = try VMDescription(parsing: Array(text.utf8))
    // What is read is written again as it was.
    #expect(try VMDescription(parsing: Array(description.json.description.utf8)) == description)
    return try description.devices[0].body.state(of: body.span)
  }

  private static let element = """
    "vmsd_name": "e", "version": 1, "fields": [{"name": "x", "type": "uint8", "size": 1}]
    """

  @Test(arguments: ["qtailq", "qlist"]) func elementsOfAListAreDescribed(type: String) throws {
    let found = try state(
      text: """
        {"name": "q", "type": "\(type)", \(Self.element), \(Self.element), "size": 5}
        """, [1, 0xAA, 1, 0xBB, 0])
    #expect(found.fields == ["q": "01 aa 01 bb 00"])
    #expect(found.described.map(\.path) == ["/q"])
    #expect(found.described.map(\.type) == [type])
    #expect(found.described.map(\.value) == [[["x": "0xaa"], ["x": "0xbb"]]])
  }

  @Test func elementsOfAListMayDiffer() throws {
    let other = """
      "vmsd_name": "e", "version": 1, "fields": [{"name": "y", "type": "uint16", "size": 2}], \
      "subsections": [{"vmsd_name": "e/s", "version": 1, "fields": []}]
      """
    let found = try state(
      text: "{\"name\": \"q\", \"type\": \"qlist\", \(Self.element), \(other), \"size\": 15}",
      [1, 7, 1, 0, 9, 5, 3] + Array("e/s".utf8) + [0, 0, 0, 1, 0])
    #expect(found.described.map(\.value) == [[["x": "0x07"], ["y": "0x0009", "e/s": [:]]]])
  }

  @Test func aTreeHasKeysAndValues() throws {
    let bytes: [UInt8] = [0, 0, 0, 1, 1] + [0, 0, 0, 0, 0, 0, 0, 3, 0xAA, 0]
    let direct = try state(
      text: "{\"name\": \"t\", \"type\": \"gtree\", \(Self.element), \"size\": 15}", bytes)
    #expect(
      direct.described.map(\.value) == [[["key": "0x0000000000000003", "value": ["x": "0xaa"]]]])
    let keyed = try state(
      text: "{\"name\": \"t\", \"type\": \"gtree\", \(Self.element), \(Self.element), \"size\": 8}",
      [0, 0, 0, 1, 1, 7, 8, 0])
    #expect(keyed.described.map(\.value) == [[["key": ["x": "0x07"], "value": ["x": "0x08"]]]])
  }

  /// Rows: bytes of a list of two elements of one byte that are none, whatever is described.
  @Test(
    arguments: [
      [1, 0xAA, 0, 0xBB, 0], [1, 0xAA, 1, 0xBB, 1], [0, 0, 0, 0, 0], [1, 0xAA, 2, 0xBB, 0],
    ] as [[UInt8]])
  func aListThatIsDescribedWronglyIsShownAsBytes(bytes: [UInt8]) throws {
    let found = try state(
      text: "{\"name\": \"q\", \"type\": \"qlist\", \(Self.element), \(Self.element), \"size\": 5}",
      bytes)
    #expect(found.fields["q"]?.string?.count == 14)
    #expect(found.described.isEmpty)
  }

  @Test func partsAreFoundWhereTheyStandInArraysAndStructs() throws {
    let part = VMDescription.Body(
      "part", version: 1, fields: [Field("v", type: "uint16", size: 2)])
    let inner = VMDescription.Body(
      "inner", version: 1, fields: [Field("a/b~", type: "tmp", size: 2, body: part)])
    let found = try state(
      [
        Field("one", type: "struct", size: 2, body: inner),
        Field("two", type: "struct", size: 2, run: .array(2), body: inner),
        Field("v", type: "vstruct", size: 2, body: part),
      ], [0, 1, 0, 2, 0, 3, 0, 4])
    #expect(
      found.fields
        == [
          "one": ["a/b~": "00 01"], "two": [["a/b~": "00 02"], ["a/b~": "00 03"]], "v": "00 04",
        ])
    #expect(
      found.described.map(\.path) == ["/one/a~1b~0", "/two/0/a~1b~0", "/two/1/a~1b~0", "/v"])
    #expect(found.described.map(\.type) == ["tmp", "tmp", "tmp", "vstruct"])
    #expect(
      found.described.map { $0.value["v"]?.string } == ["0x0001", "0x0002", "0x0003", "0x0004"])
  }

  @Test func aListInAListIsOneValue() throws {
    let inner = VMDescription.Body(
      "inner", version: 1,
      fields: [
        Field(
          "l", type: "qlist", size: 3,
          body: .init("e", version: 1, fields: [Field("x", type: "uint8", size: 1)]))
      ])
    let found = try state([Field("q", type: "qtailq", size: 5, body: inner)], [1, 1, 7, 0, 0])
    #expect(found.described.map(\.value) == [[["l": [["x": "0x07"]]]]])
  }

  /// A name stays one key, whatever has it.
  @Test func whatHasOneNameIsOneArray() throws {
    let body = VMDescription.Body(
      "d", version: 1,
      fields: [
        Field("d/s", type: "uint8", size: 1), Field("a", type: "uint8", size: 1, run: .element(0)),
        Field("a", type: "nullptr", size: 1, run: .element(1)),
        Field("a", type: "uint8", size: 1, run: .element(2)),
      ],
      subsections: [
        .init("d/s", version: 1, fields: [Field("x", type: "bool", size: 1)]),
        .init("d/s", version: 1, fields: []),
      ])
    let mark: [UInt8] = [5, 3] + Array("d/s".utf8) + [0, 0, 0, 1]
    let bytes: [UInt8] = [9, 1, 0x30, 2] + mark + [1] + mark
    #expect(
      try body.decode(bytes.span)
        == ["d/s": ["0x09", ["x": true], [:]], "a": ["0x01", "nullptr", "0x02"]])
  }

  @Test func namesArePrintableASCIIAndStayApart() throws {
    let long = String(repeating: "ä", count: 300)
    let found = try state(
      ["", "ä", "\\xc3\\xa4", "a\u{0}\n\u{1B}[m", "<&\">", long].map {
        Field($0, type: "uint8", size: 1)
      }, [0, 1, 2, 3, 4, 5])
    let keys = found.fields.members?.map(\.key) ?? []
    #expect(
      keys == [
        "", "\\xc3\\xa4", "\\\\xc3\\\\xa4", "a\\x00\\x0a\\x1b[m", "<&\">",
        String(repeating: "\\xc3\\xa4", count: 300),
      ])
    #expect(found.fields.members?.map(\.value) == (0...5).map { .string("0x0\($0)") })
  }

  @Test func unsignedFieldsOfEveryLabelAreUnsigned() throws {
    let labels = ["uint8", "uint8 equal", "int8"]
    let found = try state(labels.map { Field($0, type: $0, size: 1) }, [0x80, 0x80, 0x80])
    #expect(found.fields == ["uint8": "0x80", "uint8 equal": "0x80", "int8": "0x80 (-128)"])
    let wide: [UInt8] = [0xFF, 0, 0, 0, 0, 0, 0, 0]
    let equal = try state([Field("n", type: "int64 equal", size: 8)], wide)
    #expect(equal.fields == ["n": "0xff00000000000000"])
  }

  @Test func fieldsOfNoBytesAndNoElementsAreNoTrouble() throws {
    let found = try state(
      [
        Field("b", type: "bool", size: 0), Field("i", type: "int32", size: 0),
        Field("none", type: "uint8", size: 1, run: .array(0)),
        Field("n", type: "nullptr", size: 1), Field("one", type: "uint8", size: 1, run: .array(1)),
      ], [0x31, 7])
    #expect(found.fields == ["b": "", "i": "", "n": "31", "one": "0x07"])
  }

  @Test("A bool shows all its bytes where they are not a single 0 or 1: none is hidden")
  func nothingHidesBehindABool() throws {
    let fields = ["no", "yes", "odd", "long"].map {
      Field($0, type: "bool", size: $0 == "long" ? 2 : 1)
    }
    let found = try state(fields, [0, 1, 2, 1, 7])
    #expect(found.fields == ["no": false, "yes": true, "odd": "02", "long": "01 07"])
  }

  /// Descriptions and bodies that fit each other, or do not: each is decoded or refused.
  @Test func noDescriptionAndNoBodyIsTrouble() throws {
    var chance = Chance()
    var decoded = 0
    var described = 0
    for _ in 0..<4000 {
      let body = chance.body(depth: 3)
      let size = chance.next(2) == 0 ? body.size ?? 0 : chance.next(40)
      // Small bytes are often marks of lists and counts of trees.
      let bytes = (0..<min(size, 4096)).map { _ in UInt8(chance.next(chance.next(2) == 0 ? 2 : 256))
      }
      do {
        let state = try body.state(of: bytes.span, at: 0x1000)
        decoded += 1
        described += state.described.count
        let keys = state.fields.members?.map(\.key) ?? []
        #expect(Set(keys).count == keys.count)
        for part in state.described { #expect(Self.value(at: part.path, in: state.fields) != nil) }
      } catch {
        #expect([.vmdescriptionMismatch, .vmdescriptionSyntax].contains(error.code))
      }
    }
    // The two kinds of outcome are both met, or this would prove nothing.
    #expect(decoded > 500 && decoded < 3500 && described > 100)
  }

  /// Follows a JSON pointer.
  private static func value(at path: String, in json: JSON) -> JSON? {
    var found: JSON? = json
    for part in path.split(separator: "/", omittingEmptySubsequences: false).dropFirst() {
      if let elements = found?.array {
        found = Int(part).flatMap { elements.indices.contains($0) ? elements[$0] : nil }
      } else {
        let words = part.split(separator: "~1", omittingEmptySubsequences: false)
        let key = words.map { $0.replacing("~0", with: "~") }.joined(separator: "/")
        found = found?[key]
      }
    }
    return found
  }
}

/// Random descriptions, the same each time.
private struct Chance {
  private var state: UInt64 = 0x1234_5678

  mutating func next(_ bound: Int) -> Int {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return Int((state >> 33) % UInt64(bound))
  }

  mutating func body(depth: Int) -> VMDescription.Body {
    let fields = (0..<next(4)).map { _ in field(depth: depth) }
    let subsections = depth > 0 && next(4) == 0 ? [body(depth: depth - 1)] : []
    return .init("b/\(next(3))", version: 1, fields: fields, subsections: subsections)
  }

  private mutating func field(depth: Int) -> VMDescription.Field {
    let types = [
      "uint8", "int32", "bool", "buffer", "nullptr", "capability", "struct", "tmp", "vstruct",
      "qtailq", "qlist", "gtree", "no such type",
    ]
    let type = types[next(types.count)]
    var field = VMDescription.Field("\(next(3))/~", type: type, size: UInt64(next(10)))
    if next(4) == 0 { field.run = .array(UInt64(next(4))) }
    guard depth > 0, ["struct", "tmp", "vstruct", "qtailq", "qlist", "gtree"].contains(type)
    else { return field }
    field.bodies = (0..<(type == "struct" ? 1 : next(3))).map { _ in body(depth: depth - 1) }
    let inside = field.bodies.reduce(0) { $0 + ($1.size ?? 0) }
    switch type {
    case "qtailq", "qlist": field.size = UInt64(inside + field.bodies.count + 1)
    case "gtree": field.size = UInt64(inside + 9 * field.bodies.count + 5)
    default: field.size = UInt64(inside)
    }
    return field
  }
}
