public import Bytes

extension VMDescription.Body {
  /// Names the values in a section's body, as QEMU's analyze-migration script prints them.
  ///
  /// Integers are hex text as wide as the field, negative ones with the value in parentheses;
  /// `bool` is true or false; a struct is an object; a field that comes more than once is an array;
  /// a subsection is an object under its name; anything else is hex bytes with spaces.
  /// - Parameters:
  ///   - bytes: the body, whole.
  ///   - base: stream offset of the body.
  /// - Throws: `VMDESC-MISMATCH` when the bytes are not what the description says; `VMDESC-SYNTAX`
  ///   when it describes more elements than a body can have.
  public func decode(_ bytes: Span<UInt8>, at base: UInt64 = 0) throws(MigrationError) -> JSON {
    var decoder = DeviceDecoder(cursor: ByteCursor(bytes, at: base), left: bytes.count + 65536)
    let value = try decoder.object(self)
    guard decoder.cursor.remaining == 0 else {
      throw decoder.mismatch("section is longer than its description")
    }
    return value
  }
}

private struct DeviceDecoder: ~Escapable {
  var cursor: ByteCursor
  /// Elements that may still come: an element of no bytes must not cost without end.
  var left: Int

  @_lifetime(copy cursor)
  init(cursor: consuming ByteCursor, left: Int) {
    self.cursor = cursor
    self.left = left
  }

  func mismatch(_ what: String, got: String? = nil) -> MigrationError {
    MigrationError(.vmdescriptionMismatch, what, at: cursor.offset, got: got)
  }

  @_lifetime(self: copy self)
  mutating func object(_ body: VMDescription.Body) throws(MigrationError) -> JSON {
    var names: [String: Int] = [:]
    var members: [(name: String, values: [JSON])] = []
    for field in body.fields {
      let place: Int
      if let known = names[field.name] {
        place = known
      } else {
        place = members.count
        names[field.name] = place
        members.append((field.name, []))
      }
      for _ in 0..<field.count {
        guard left > 0 else {
          throw MigrationError(
            .vmdescriptionSyntax, "VM description has too many elements", at: cursor.offset)
        }
        left -= 1
        members[place].values.append(try element(field))
      }
    }
    for subsection in body.subsections {
      let name = subsection.name ?? ""
      try header(of: name)
      members.append((name, [try object(subsection)]))
    }
    return .object(
      members.filter { !$0.values.isEmpty }.map { member in
        JSON.Member(
          member.name, member.values.count == 1 ? member.values[0] : .array(member.values))
      })
  }

  @_lifetime(self: copy self)
  private mutating func header(of name: String) throws(MigrationError) {
    let expected =
      [RecordType.subsection.rawValue, UInt8(truncatingIfNeeded: name.utf8.count)]
      + Array(name.utf8)
    let start = cursor.offset
    guard try take(expected.count) == expected else {
      throw MigrationError(
        .vmdescriptionMismatch, "subsection \(name) is not where it is described", at: start)
    }
    _ = try take(4)
  }

  @_lifetime(self: copy self)
  private mutating func element(_ field: VMDescription.Field) throws(MigrationError) -> JSON {
    guard let size = Int(exactly: field.size), size <= cursor.remaining else {
      throw mismatch("section is shorter than its description", got: "field \(field.name)")
    }
    if let body = field.body, field.isNested {
      let start = cursor.remaining
      let value = try object(body)
      guard start - cursor.remaining == size else {
        throw mismatch("struct has another size than described", got: "field \(field.name)")
      }
      return value
    }
    let bytes = try take(size)
    switch field.type {
    case "bool" where size > 0: return .bool(bytes[0] != 0)
    case "nullptr" where bytes == [0x30]: return "nullptr"
    case "capability" where size > 0:
      return .string(SectionName(Array(bytes.dropFirst()))?.description ?? "")
    case "int8", "int16", "int32", "int64", "int32 equal", "int32 le":
      return DeviceDecoder.integer(bytes, isSigned: true)
    case "uint8", "uint16", "uint32", "uint64", "uint8 equal", "uint16 equal", "uint32 equal",
      "int64 equal":
      // The label "int64 equal" is QEMU's for the unsigned field.
      return DeviceDecoder.integer(bytes, isSigned: false)
    default: return .string(DeviceDecoder.hex(bytes))
    }
  }

  @_lifetime(self: copy self)
  private mutating func take(_ count: Int) throws(MigrationError) -> [UInt8] {
    guard count <= cursor.remaining else {
      throw mismatch("section is shorter than its description")
    }
    return try cursor.takeArray(count)
  }

  private static func integer(_ bytes: [UInt8], isSigned: Bool) -> JSON {
    guard 1...8 ~= bytes.count else { return .string(hex(bytes)) }
    var text = "0x" + Hex.encode(bytes)
    if isSigned, bytes[0] & 0x80 != 0 {
      var value: Int64 = -1
      for byte in bytes { value = value << 8 | Int64(byte) }
      text += " (\(value))"
    }
    return .string(text)
  }

  private static func hex(_ bytes: [UInt8]) -> String {
    let digits = Array(Hex.encode(bytes).utf8)
    var text: [UInt8] = []
    text.reserveCapacity(bytes.count * 3)
    for index in bytes.indices {
      if index > 0 { text.append(0x20) }
      text.append(digits[2 * index])
      text.append(digits[2 * index + 1])
    }
    return String(decoding: text, as: UTF8.self)
  }
}
