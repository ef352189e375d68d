package import Errors
internal import JSON

extension MachineDump {
  /// Parses a file that `-dump-vmstate` wrote.
  /// - Parameter name: of the file, for errors.
  /// - Throws: `TARGET-SYNTAX` for what is no such file, with the byte where it is no JSON.
  package init(parsing text: [UInt8], name: String) throws(MigrationError) {
    let reader = DumpReader(file: name)
    let json: JSON
    do throws(MigrationError) {
      json = try JSON(parsing: text)
    } catch {
      throw MigrationError(
        .targetSyntax, error.what, in: .file(name), at: error.offset, expected: error.expected,
        got: error.got)
    }
    guard let members = json.members else { throw reader.refused("the dump is not an object") }
    if let key = json.repeatedKey { throw reader.refused("\(printable(key)) occurs twice") }
    guard let machine = json["vmschkmachine"]?["Name"]?.string else {
      throw reader.refused("vmschkmachine, which names the machine, is missing")
    }
    self.machine = machine
    types = []
    for member in members where !member.isNamed("vmschkmachine") {
      types.append(try reader.type(member))
    }
  }
}

/// Takes from JSON what the comparison needs; keys of newer versions are passed over.
private struct DumpReader {
  let file: String

  func refused(_ what: String) -> MigrationError {
    MigrationError(
      .targetSyntax, what, in: .file(file), expected: "what qemu-system-… -dump-vmstate writes")
  }

  func type(_ member: JSON.Member) throws(MigrationError) -> MachineDump.DeviceType {
    let (name, json) = (member.key, member.value)
    guard json.members != nil else { throw refused("\(printable(name)) is not an object") }
    return MachineDump.DeviceType(
      name: name, version: try number(json, "version_id", of: name),
      minimumVersion: try number(json, "minimum_version_id", of: name),
      state: try json["Description"].map { (described) throws(MigrationError) in
        try layout(described, of: name)
      })
  }

  private func layout(_ json: JSON, of type: String) throws(MigrationError) -> StateLayout {
    guard let name = json["name"]?.string else {
      throw refused("a description of \(printable(type)) has no name")
    }
    var layout = StateLayout(
      name: name, version: try number(json, "version_id", of: type),
      minimumVersion: try number(json, "minimum_version_id", of: type), fields: [],
      subsections: [])
    layout.hasFields = json["Fields"] != nil
    layout.hasSubsections = json["Subsections"] != nil
    for field in try elements(json, "Fields", of: type) {
      layout.fields.append(try self.field(field, of: type))
    }
    tellApart(&layout.fields)
    for subsection in try elements(json, "Subsections", of: type) {
      layout.subsections.append(try self.layout(subsection, of: type))
    }
    return layout
  }

  private func field(_ json: JSON, of type: String) throws(MigrationError) -> StateLayout.Field {
    guard let name = json["field"]?.string, let size = json["size"]?.uint else {
      throw refused("a field of \(printable(type)) has no name or no size")
    }
    var field = StateLayout.Field(name: name, size: size)
    field.since = try number(json, "version_id", of: type)
    field.isConditional = json["field_exists"]?.bool ?? false
    // Only newer versions tell the length of an array.
    field.count = json["num"]?.uint
    if let described = json["Description"] {
      field.layouts = [try layout(described, of: type)]
    } else if size > 0 {
      let (product, overflow) = size.multipliedReportingOverflow(by: field.count ?? 1)
      field.bytes = overflow ? nil : product
    }
    return field
  }

  /// Gives fields of one name the names that they have in a stream.
  private func tellApart(_ fields: inout [StateLayout.Field]) {
    var counts: [[UInt8]: Int] = [:]
    for field in fields { counts[Array(field.name.utf8), default: 0] += 1 }
    var seen: [[UInt8]: Int] = [:]
    for index in fields.indices {
      let name = Array(fields[index].name.utf8)
      guard counts[name] != 1 else { continue }
      fields[index].name += "[\(seen[name, default: 0])]"
      seen[name, default: 0] += 1
    }
  }

  private func number(_ json: JSON, _ key: String, of type: String) throws(MigrationError) -> UInt32
  {
    guard let value = json[key]?.uint.flatMap({ UInt32(exactly: $0) }) else {
      throw refused("\(printable(type)) has no number \(key)")
    }
    return value
  }

  private func elements(_ json: JSON, _ key: String, of type: String) throws(MigrationError)
    -> [JSON]
  {
    guard let value = json[key] else { return [] }
    guard let elements = value.array else {
      throw refused("\(key) of \(printable(type)) is not an array")
    }
    return elements
  }
}
