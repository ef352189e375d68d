package import Errors
package import JSON

extension VMDescription {
  /// Parses the text of a description record.
  /// - Parameters:
  ///   - base: stream offset of the first byte, for errors.
  ///   - isOurs: whether every section must be described correctly. If false, an incorrect
  ///     description affects only the fields of its own section.
  /// - Throws: `VMDESC-SYNTAX` for text that is not JSON, or that lacks members which a reader
  ///   needs.
  package init(
    parsing text: [UInt8], at base: UInt64 = 0, isOurs: Bool = false
  ) throws(MigrationError) {
    let json: JSON
    do throws(MigrationError) {
      json = try JSON(parsing: text, at: base)
    } catch {
      throw MigrationError(
        .vmdescriptionSyntax, "VM description is not JSON: \(error.what)", at: error.offset)
    }
    try self.init(json, at: base, isOurs: isOurs)
  }

  /// - Parameter base: stream offset of the text, for errors.
  /// - Throws: `VMDESC-SYNTAX`.
  package init(_ json: JSON, at base: UInt64 = 0, isOurs: Bool = false) throws(MigrationError) {
    let reader = DescriptionReader(base: base)
    guard json.members != nil else { throw reader.refused("is not an object") }
    pageSize = json["page_size"]?.uint
    configuration = nil
    if let described = json["configuration"] {
      configuration = try reader.body(described, "configuration")
    }
    devices = []
    for device in json["devices"]?.array ?? [] {
      guard let name = device["name"]?.string,
        let instance = device["instance_id"]?.uint.flatMap({ UInt32(exactly: $0) })
      else { throw reader.refused("has a device without name or instance_id") }
      do throws(MigrationError) {
        let body = try reader.body(device, name)
        devices.append(Device(name: name, instance: instance, body: body))
      } catch {
        if isOurs { throw error }
        let nothing = Body(nil, version: nil, fields: [])
        devices.append(Device(name: name, instance: instance, body: nothing))
        devices[devices.count - 1].isReadable = false
      }
    }
  }

  /// The description as QEMU writes it, key for key: `json.compact` gives the same bytes as QEMU.
  package var json: JSON {
    var members: [JSON.Member] = []
    if let configuration {
      members.append(.init("configuration", .object(configuration.members)))
    }
    if let pageSize { members.append(.init("page_size", JSON(pageSize))) }
    members.append(.init("devices", .array(devices.map(\.json))))
    return .object(members)
  }
}

extension VMDescription.Device {
  fileprivate var json: JSON {
    var members: [JSON.Member] = [
      .init("name", .string(name)), .init("instance_id", JSON(instance)),
    ]
    if body.name == nil {
      members.append(.init("size", JSON(body.fields.reduce(0) { $0 &+ $1.size })))
      // QEMU writes the keys of the field of a hand-written device in another order.
      let fields = body.fields.map { field -> JSON in
        [
          "name": .string(field.name), "size": JSON(field.size), "type": .string(field.type),
        ]
      }
      members.append(.init("fields", .array(fields)))
    } else {
      members += body.members
    }
    return .object(members)
  }
}

extension VMDescription.Body {
  fileprivate var members: [JSON.Member] {
    var members: [JSON.Member] = []
    if let name { members.append(.init("vmsd_name", .string(name))) }
    if let version { members.append(.init("version", JSON(version))) }
    members.append(.init("fields", .array(fields.map(\.json))))
    if !subsections.isEmpty {
      members.append(.init("subsections", .array(subsections.map { .object($0.members) })))
    }
    return members
  }
}

extension VMDescription.Field {
  fileprivate var json: JSON {
    var members: [JSON.Member] = [.init("name", .string(name))]
    switch run {
    case .one: break
    case .array(let count): members.append(.init("array_len", JSON(count)))
    case .element(let index): members.append(.init("index", JSON(index)))
    }
    members.append(.init("type", .string(type)))
    for body in bodies {
      if isNested {
        members.append(.init("struct", .object(body.members)))
      } else {
        // QEMU repeats the keys for each element of a list.
        members += body.members
      }
    }
    members.append(.init("size", JSON(size)))
    return .object(members)
  }
}

/// Reads from JSON the members that lengths and decoding need; other members are ignored.
private struct DescriptionReader {
  let base: UInt64

  func refused(_ what: String) -> MigrationError {
    MigrationError(.vmdescriptionSyntax, "VM description \(what)", at: base)
  }

  func body(_ json: JSON, _ place: String) throws(MigrationError) -> VMDescription.Body {
    guard let described = json["fields"]?.array else {
      throw refused("has no fields for \(place)")
    }
    var fields: [VMDescription.Field] = []
    for json in described { fields.append(try field(json, place)) }
    var subsections: [VMDescription.Body] = []
    for json in json["subsections"]?.array ?? [] {
      let subsection = try body(json, place)
      guard subsection.name.flatMap({ SectionName($0) }) != nil else {
        throw refused("has a subsection without a name in \(place)")
      }
      subsections.append(subsection)
    }
    return VMDescription.Body(
      json["vmsd_name"]?.string,
      version: json["version"]?.uint.flatMap { UInt32(exactly: $0) },
      fields: fields, subsections: subsections)
  }

  private func field(_ json: JSON, _ place: String) throws(MigrationError) -> VMDescription.Field {
    guard let name = json["name"]?.string, let type = json["type"]?.string,
      let size = json["size"]?.uint
    else { throw refused("has a field without name, type or size in \(place)") }
    var field = VMDescription.Field(name, type: type, size: size)
    if let count = json["array_len"] {
      guard let count = count.uint else { throw refused("has a wrong array_len in \(place)") }
      field.run = .array(count)
    } else if let index = json["index"]?.uint {
      field.run = .element(index)
    }
    if type == "struct" {
      guard let nested = json["struct"] else { throw refused("has an empty struct in \(place)") }
      field.bodies = [try body(nested, place)]
    } else {
      for described in Self.descriptions(beside: json) {
        field.bodies.append(try body(described, place))
      }
    }
    return field
  }

  /// The descriptions among the keys of a field: each begins with its name.
  private static func descriptions(beside json: JSON) -> [JSON] {
    var found: [[JSON.Member]] = []
    for member in json.members ?? [] {
      switch member.key {
      case "vmsd_name": found.append([member])
      case "version", "fields", "subsections":
        if found.isEmpty { found.append([]) }
        found[found.count - 1].append(member)
      default: break
      }
    }
    return found.filter { $0.contains { $0.key == "fields" } }.map { .object($0) }
  }
}
