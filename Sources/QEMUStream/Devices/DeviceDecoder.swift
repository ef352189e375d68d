internal import Errors
internal import JSON
internal import Wire

/// Decodes a section's body, field by field.
///
/// The result follows QEMU's script analyze-migration.py, with its names and forms, where the
/// script can read the body. It differs where the script is wrong: the script reads `array_len: 0`
/// as one element, reads the unsigned types `int64 equal`, `uint8 equal` and `uint16 equal` as
/// signed, lets a subsection replace a field of the same name, reads a name of 128 bytes or more as
/// one without an end, fails with an exception for names that are not UTF-8 and for numbers of no
/// bytes, and does not notice a struct whose size differs from the described one.
struct DeviceDecoder: ~Escapable {
  var cursor: ByteCursor
  private(set) var budget: ElementBudget
  /// Whether bytes whose description continues become values in the same place.
  private let entersBytes: Bool
  /// The decoded values of such bytes, if `entersBytes` is false.
  private(set) var described: [DeviceState.Described] = []

  @_lifetime(copy cursor)
  init(cursor: consuming ByteCursor, budget: ElementBudget, entersBytes: Bool) {
    self.cursor = cursor
    self.budget = budget
    self.entersBytes = entersBytes
  }

  func mismatch(_ what: String, got: String? = nil) -> MigrationError {
    MigrationError(.vmdescriptionMismatch, what, at: cursor.offset, got: got)
  }

  /// Decodes the fields of `body`, then its subsections.
  @_lifetime(self: copy self)
  mutating func object(_ body: VMDescription.Body) throws(MigrationError) -> JSON {
    var members = Members()
    let first = described.count
    for field in body.fields {
      // The budget is charged before the name is used; a run of no elements counts as well.
      try budget.take(name: field.name, at: cursor.offset)
      let place = members.place(of: field.name)
      for index in 0..<field.count {
        if index > 0 { try budget.take(name: field.name, at: cursor.offset) }
        members.append(try element(field), at: place, described: described.count - first)
      }
    }
    for subsection in body.subsections {
      let name = subsection.name ?? ""
      try header(of: name)
      try budget.take(name: name, at: cursor.offset)
      members.append(
        try object(subsection), at: members.place(of: name), described: described.count - first)
    }
    for (index, owner) in members.owners.enumerated() {
      let path = members.path(to: owner) + described[first + index].path
      try budget.take(name: path, at: cursor.offset)
      described[first + index].path = path
    }
    return members.json
  }

  @_lifetime(self: copy self)
  private mutating func header(of name: String) throws(MigrationError) {
    let expected =
      [RecordType.subsection.rawValue, UInt8(truncatingIfNeeded: name.utf8.count)]
      + Array(name.utf8)
    let start = cursor.offset
    guard try take(expected.count).isEqual(to: expected) else {
      throw MigrationError(
        .vmdescriptionMismatch, "subsection \(Members.key(name)) is not at its described place",
        at: start)
    }
    _ = try take(4)
  }

  @_lifetime(self: copy self)
  private mutating func element(_ field: VMDescription.Field) throws(MigrationError) -> JSON {
    guard let size = Int(exactly: field.size), size <= cursor.remaining else {
      throw mismatch(
        "section is shorter than its description", got: "field \(Members.key(field.name))")
    }
    if let body = field.body, field.isNested {
      let start = cursor.remaining
      let value = try object(body)
      guard start - cursor.remaining == size else {
        throw mismatch(
          "struct has another size than described", got: "field \(Members.key(field.name))")
      }
      return value
    }
    let start = cursor.offset
    let bytes = try take(size)
    if field.body != nil, let value = inside(field, bytes, at: start) {
      if entersBytes { return value }
      described.append(DeviceState.Described(path: "", type: field.type, value: value))
    }
    return Self.value(of: bytes, as: field.type)
  }

  @_lifetime(copy self)
  private mutating func take(_ count: Int) throws(MigrationError) -> Span<UInt8> {
    guard count <= cursor.remaining else {
      throw mismatch("section is shorter than its description")
    }
    return try cursor.take(count)
  }
}

// Types whose elements are described by keys of the field itself.
extension DeviceDecoder {
  /// The value of `bytes` by the descriptions of `field`; nil when the bytes do not fit them.
  @_lifetime(self: copy self)
  private mutating func inside(
    _ field: VMDescription.Field, _ bytes: Span<UInt8>, at start: UInt64
  ) -> JSON? {
    var decoder = DeviceDecoder(
      cursor: ByteCursor(bytes, at: start), budget: budget, entersBytes: true)
    let value = try? decoder.parts(of: field)
    budget = decoder.budget
    return decoder.cursor.remaining == 0 ? value : nil
  }

  @_lifetime(self: copy self)
  private mutating func parts(of field: VMDescription.Field) throws(MigrationError) -> JSON {
    switch field.type {
    case "qtailq", "qlist":
      var elements: [JSON] = []
      for body in field.bodies {
        try mark(1)
        elements.append(try object(body))
      }
      try mark(0)
      return .array(elements)
    case "gtree":
      let count = Int(try cursor.read(UInt32.self))
      let hasKeys = field.bodies.count == 2 * count
      guard hasKeys || field.bodies.count == count else {
        throw mismatch("tree has another size than described")
      }
      var elements: [JSON] = []
      for index in 0..<count {
        try mark(1)
        // The keys of a tree without descriptions of keys are numbers.
        let key =
          hasKeys
          ? try object(field.bodies[2 * index]) : Self.value(of: try take(8), as: "uint64")
        let value = try object(field.bodies[hasKeys ? 2 * index + 1 : index])
        elements.append(["key": key, "value": value])
      }
      try mark(0)
      return .array(elements)
    default:
      guard field.bodies.count == 1 else { throw mismatch("field is described more than once") }
      return try object(field.bodies[0])
    }
  }

  /// Reads the byte before an element of a list (1), or after the last element (0).
  @_lifetime(self: copy self)
  private mutating func mark(_ expected: UInt8) throws(MigrationError) {
    guard try cursor.read(UInt8.self) == expected else {
      throw mismatch("list has another length than described")
    }
  }

  private static func value(of bytes: Span<UInt8>, as type: String) -> JSON {
    switch type {
    // Of any other byte, or more of them, all are shown: nothing hides behind a true.
    case "bool" where bytes.count == 1 && bytes[0] <= 1: .bool(bytes[0] == 1)
    case "nullptr" where bytes.count == 1 && bytes[0] == 0x30: "nullptr"
    case "capability" where !bytes.isEmpty:
      .string(SectionName(Array(copying: bytes.extracting(1...)))?.description ?? "")
    case "int8", "int16", "int32", "int64", "int32 equal", "int32 le":
      integer(bytes, isSigned: true)
    case "uint8", "uint16", "uint32", "uint64", "uint8 equal", "uint16 equal", "uint32 equal",
      "int64 equal":
      // QEMU uses the label "int64 equal" for an unsigned field.
      integer(bytes, isSigned: false)
    default: .string(Hex.spaced(bytes))
    }
  }

  private static func integer(_ bytes: Span<UInt8>, isSigned: Bool) -> JSON {
    guard 1...8 ~= bytes.count else { return .string(Hex.spaced(bytes)) }
    var text = "0x" + Hex.encode(Array(copying: bytes))
    if isSigned, bytes[0] & 0x80 != 0 {
      var value: Int64 = -1
      for index in bytes.indices { value = value << 8 | Int64(bytes[index]) }
      text += " (\(value))"
    }
    return .string(text)
  }
}

/// The members of an object while it is read. Values with the same name become one array.
private struct Members {
  /// The member that holds described bytes, and the index of the value among its values.
  struct Owner {
    var place: Int
    var index: Int
  }

  /// One owner for each described field below this object, in order.
  private(set) var owners: [Owner] = []
  private var places: [String: Int] = [:]
  private var members: [(key: String, values: [JSON])] = []

  mutating func place(of name: String) -> Int {
    if let known = places[name] { return known }
    places[name] = members.count
    members.append((Self.key(name), []))
    return members.count - 1
  }

  /// - Parameter described: number of described fields below this object, including those of
  ///   `value`.
  mutating func append(_ value: JSON, at place: Int, described: Int) {
    for _ in owners.count..<max(described, owners.count) {
      owners.append(Owner(place: place, index: members[place].values.count))
    }
    members[place].values.append(value)
  }

  /// The JSON pointer to a value, relative to this object.
  func path(to owner: Owner) -> String {
    let member = members[owner.place]
    var path = "/"
    for character in member.key {
      switch character {
      case "~": path += "~0"
      case "/": path += "~1"
      default: path.append(character)
      }
    }
    return member.values.count > 1 ? "\(path)/\(owner.index)" : path
  }

  var json: JSON {
    .object(
      members.filter { !$0.values.isEmpty }.map { member in
        JSON.Member(member.key, member.values.count == 1 ? member.values[0] : .array(member.values))
      })
  }

  /// A name that is safe to print and to pass on: printable ASCII, with escapes like a section's
  /// name.
  static func key(_ name: String) -> String {
    let bytes = Array(name.utf8)
    guard bytes.contains(where: { !(0x20...0x7E ~= $0) || $0 == UInt8(ascii: "\\") }) else {
      return name
    }
    // A field's name may be longer than a section's.
    return stride(from: 0, to: bytes.count, by: 255).map { start in
      SectionName(Array(bytes[start..<min(start + 255, bytes.count)]))?.description ?? ""
    }.joined()
  }
}
