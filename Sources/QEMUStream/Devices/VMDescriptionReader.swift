package import Errors
internal import JSON

extension VMDescription {
  /// What a description may have in all, so that it takes a few times as much memory as its text: each section,
  /// field and structure counts as one, and a name or type of more than 15 bytes as one more for each 64 bytes
  /// that are begun. The description of a small machine counts 3,000; each of its vCPUs has 200 of them.
  package static let partLimit = 1 << 18

  /// Parses the text of a description record.
  /// - Parameters:
  ///   - base: stream offset of the first byte, for errors.
  ///   - isOurs: whether every section must be described correctly. If false, an incorrect
  ///     description affects only the fields of its own section.
  /// - Throws: `VMDESC-SYNTAX` for text that is not JSON, that lacks members which a reader
  ///   needs, or that describes more than a limit.
  package init(
    parsing text: Span<UInt8>, at base: UInt64 = 0, isOurs: Bool = false
  ) throws(MigrationError) {
    var reader = DescriptionReader(text, at: base, isOurs: isOurs)
    do throws(MigrationError) {
      self = try reader.description()
    } catch {
      guard error.code == .json else { throw error }
      throw MigrationError(
        .vmdescriptionSyntax, "VM description is not JSON: \(error.what)", at: error.offset)
    }
  }

  /// Parses the text of a description record.
  /// - Throws: `VMDESC-SYNTAX`.
  package init(
    parsing text: [UInt8], at base: UInt64 = 0, isOurs: Bool = false
  ) throws(MigrationError) {
    try self.init(parsing: text.span, at: base, isOurs: isOurs)
  }
}

/// Reads the members that lengths and decoding need, and passes over all others. Of a key that comes again
/// in one object the first value counts, as for all readers of `JSON`; only the keys that describe a field
/// itself come once for each element of a list.
///
/// A member that was not there yet is nil; one with a value of another type is `.some(nil)`. No key that is
/// known here is equal to any other text: only K, a semicolon and a grave accent have equivalents in Unicode.
private struct DescriptionReader: ~Escapable {
  /// The members of a body, which a field may have among its own.
  private struct Members {
    var name: String??
    var version: UInt32??
    var fields: [VMDescription.Field]?
    var subsections: [VMDescription.Body]?
  }

  private var json: JSONReader
  private let base: UInt64
  private let isOurs: Bool
  /// What was described so far, as `VMDescription.partLimit` counts it.
  private var parts = 0

  @_lifetime(copy text)
  init(_ text: Span<UInt8>, at base: UInt64, isOurs: Bool) {
    json = JSONReader(text, at: base, valueLimit: .max)
    (self.base, self.isOurs) = (base, isOurs)
  }

  private func refused(_ what: String) -> MigrationError {
    MigrationError(.vmdescriptionSyntax, "VM description \(what)", at: base)
  }

  /// Counts a section, field or structure with its name and type.
  private mutating func count(_ texts: String?...) throws(MigrationError) {
    parts += 1
    for case let text? in texts where text.utf8.count > 15 { parts += 1 + text.utf8.count / 64 }
    guard parts <= VMDescription.partLimit else {
      throw MigrationError(
        .vmdescriptionSyntax, "VM description describes too much", at: json.offset,
        expected: "at most \(VMDescription.partLimit) sections, fields, structures and long names")
    }
  }

  // MARK: The whole

  mutating func description() throws(MigrationError) -> VMDescription {
    guard try json.isObject() else {
      try json.skip()
      try json.end()
      throw refused("is not an object")
    }
    var pageSize: UInt64??
    var configuration: VMDescription.Body?
    var devices: [VMDescription.Device]?
    var object = try json.enter()
    while let key = try json.key(in: &object) {
      switch key {
      case "page_size" where pageSize == nil: pageSize = .some(try json.simple()?.uint)
      case "configuration" where configuration == nil: configuration = try body("configuration")
      case "devices" where devices == nil: devices = try self.devices()
      default: try json.skip()
      }
    }
    try json.end()
    return VMDescription(
      configuration: configuration, pageSize: pageSize ?? nil, devices: devices ?? [])
  }

  private mutating func devices() throws(MigrationError) -> [VMDescription.Device] {
    var devices: [VMDescription.Device] = []
    guard try json.isArray() else {
      try json.skip()
      return devices
    }
    var array = try json.enter()
    while try json.hasElement(in: &array) {
      guard devices.count < SectionTable.defaultLimit else {
        throw MigrationError(
          .vmdescriptionSyntax, "VM description has too many sections", at: json.offset,
          expected: "at most \(SectionTable.defaultLimit)")
      }
      devices.append(try device())
    }
    return devices
  }

  private mutating func device() throws(MigrationError) -> VMDescription.Device {
    let start = json.place
    guard let name = try first("name")?.string,
      let instance = try first("instance_id")?.uint.flatMap({ UInt32(exactly: $0) })
    else { throw refused("has a device without name or instance_id") }
    try count(name)
    do throws(MigrationError) {
      return VMDescription.Device(name: name, instance: instance, body: try body(name))
    } catch {
      guard error.code != .json, !isOurs, parts <= VMDescription.partLimit else { throw error }
      json.go(to: start)
      try json.skip()
      let nothing = VMDescription.Body(nil, version: nil, fields: [])
      var device = VMDescription.Device(name: name, instance: instance, body: nothing)
      device.isReadable = false
      return device
    }
  }

  /// The first value under a key of the next value, which is not read; nil if that is no object, if there is
  /// no such key, and for an array or object.
  private func first(_ name: String) throws(MigrationError) -> JSON? {
    var ahead = json
    guard try ahead.isObject() else { return nil }
    var object = try ahead.enter()
    while let key = try ahead.key(in: &object) {
      if key == name { return try ahead.simple() }
      try ahead.skip()
    }
    return nil
  }

  // MARK: Bodies

  private mutating func body(_ place: String) throws(MigrationError) -> VMDescription.Body {
    var members = Members()
    if try json.isObject() {
      var object = try json.enter()
      while let key = try json.key(in: &object) { try take(key, into: &members, place) }
    }
    guard let body = try body(of: members) else { throw refused("has no fields for \(place)") }
    return body
  }

  /// - Returns: nil for members that describe no fields.
  private mutating func body(
    of members: Members
  ) throws(MigrationError) -> VMDescription.Body? {
    guard let fields = members.fields else { return nil }
    let name = members.name ?? nil
    try count(name)
    return VMDescription.Body(
      name, version: members.version ?? nil, fields: fields,
      subsections: members.subsections ?? [])
  }

  /// Reads the value under a key, if it is a member of a body, else passes over it.
  private mutating func take(
    _ key: String, into members: inout Members, _ place: String
  ) throws(MigrationError) {
    switch key {
    case "vmsd_name" where members.name == nil:
      members.name = .some(try json.simple()?.string)
    case "version" where members.version == nil:
      members.version = .some(try json.simple()?.uint.flatMap { UInt32(exactly: $0) })
    case "fields" where members.fields == nil: members.fields = try fields(place)
    case "subsections" where members.subsections == nil:
      members.subsections = try subsections(place)
    default: try json.skip()
    }
  }

  private mutating func fields(
    _ place: String
  ) throws(MigrationError) -> [VMDescription.Field] {
    guard try json.isArray() else { throw refused("has no fields for \(place)") }
    var fields: [VMDescription.Field] = []
    var array = try json.enter()
    while try json.hasElement(in: &array) { fields.append(try field(place)) }
    return fields
  }

  private mutating func subsections(
    _ place: String
  ) throws(MigrationError) -> [VMDescription.Body] {
    var subsections: [VMDescription.Body] = []
    guard try json.isArray() else {
      try json.skip()
      return subsections
    }
    var array = try json.enter()
    while try json.hasElement(in: &array) {
      let subsection = try body(place)
      guard subsection.name.flatMap({ SectionName($0) }) != nil else {
        throw refused("has a subsection without a name in \(place)")
      }
      subsections.append(subsection)
    }
    return subsections
  }

  // MARK: Fields

  private mutating func field(_ place: String) throws(MigrationError) -> VMDescription.Field {
    guard let type = try first("type")?.string else {
      throw refused("has a field without name, type or size in \(place)")
    }
    var name: String??
    var (size, length, index): (UInt64??, UInt64??, UInt64??)
    var bodies: [VMDescription.Body] = []
    var members = Members()
    var object = try json.enter()
    while let key = try json.key(in: &object) {
      switch key {
      case "name" where name == nil: name = .some(try json.simple()?.string)
      case "size" where size == nil: size = .some(try json.simple()?.uint)
      case "array_len" where length == nil: length = .some(try json.simple()?.uint)
      case "index" where index == nil: index = .some(try json.simple()?.uint)
      case "struct" where type == "struct" && bodies.isEmpty: bodies = [try body(place)]
      case "vmsd_name" where type != "struct":
        // The next element of a list.
        if let body = try body(of: members) { bodies.append(body) }
        members = Members()
        try take(key, into: &members, place)
      case _ where type != "struct": try take(key, into: &members, place)
      default: try json.skip()
      }
    }
    if let body = try body(of: members) { bodies.append(body) }
    guard let name = name ?? nil, let size = size ?? nil else {
      throw refused("has a field without name, type or size in \(place)")
    }
    guard type != "struct" || !bodies.isEmpty else {
      throw refused("has an empty struct in \(place)")
    }
    if case .some(nil) = length { throw refused("has a wrong array_len in \(place)") }
    try count(name, type)
    var field = VMDescription.Field(name, type: type, size: size)
    field.bodies = bodies
    if let length = length ?? nil {
      field.run = .array(length)
    } else if let index = index ?? nil {
      field.run = .element(index)
    }
    return field
  }
}
