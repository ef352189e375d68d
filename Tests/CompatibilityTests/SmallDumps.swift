import Compatibility
import Errors
import JSON
import QEMUStream

/// Dumps and streams of a few devices.
enum Small {
  static func field(
    _ name: String, _ size: Int, since: Int = 0, conditional: Bool = false, num: Int? = nil,
    _ described: JSON? = nil
  ) -> JSON {
    var members: [JSON.Member] = [
      .init("field", .string(name)), .init("version_id", JSON(since)),
      .init("field_exists", .bool(conditional)), .init("size", JSON(size)),
    ]
    if let num { members.append(.init("num", JSON(num))) }
    if let described { members.append(.init("Description", described)) }
    return .object(members)
  }

  static func description(
    _ name: String, _ fields: [JSON], subsections: [JSON] = []
  ) -> JSON { description(name, 1, fields, subsections: subsections) }

  static func description(
    _ name: String, _ version: Int, from oldest: Int = 1, _ fields: [JSON],
    subsections: [JSON] = []
  ) -> JSON {
    [
      "name": .string(name), "version_id": JSON(version), "minimum_version_id": JSON(oldest),
      "Fields": .array(fields), "Subsections": .array(subsections),
    ]
  }

  static func text(_ types: [(String, JSON)], machine: String = "pc-q35-10.0") -> [UInt8] {
    var members: [JSON.Member] = [.init("vmschkmachine", ["Name": .string(machine)])]
    for (name, described) in types {
      members.append(
        .init(
          name,
          [
            "Name": .string(name), "version_id": described["version_id"] ?? 0,
            "minimum_version_id": described["minimum_version_id"] ?? 0, "Description": described,
          ]))
    }
    return JSON.object(members).compact
  }

  static func dump(
    _ types: [(String, JSON)], machine: String = "pc-q35-10.0"
  ) throws -> MachineDump {
    try MachineDump(parsing: text(types, machine: machine), name: "there.json")
  }

  /// A stream of one section, `0000:00:02.0/NAME`.
  static func stream(
    _ name: String, version: UInt32 = 1, _ fields: [VMDescription.Field],
    subsections: [VMDescription.Body] = []
  ) -> ArrivingStream {
    let idstr = "0000:00:02.0/\(name)"
    var stream = ArrivingStream()
    stream.configuration = Configuration(machine: "pc-q35-10.0")
    stream.sections = [
      SectionHeader(.full, id: 5, name: SectionName(idstr)!, version: version, offset: 0x99)
    ]
    stream.description = VMDescription(devices: [
      .init(
        name: idstr,
        body: .init(name, version: version, fields: fields, subsections: subsections))
    ])
    return stream
  }
}

extension TargetReport {
  /// Rows of sections and device types.
  var devices: [Row] { rows.filter { $0.subject == .section || $0.subject == .deviceType } }

  /// Name and code of each finding, in order.
  var findings: [String] {
    rows.flatMap { row -> [String] in
      guard case .refused(let findings, _) = row.outcome else { return [] }
      return findings.map { "\(row.name) \($0.code.rawValue)" }
    }
  }

  func row(_ name: String) -> Row? { rows.first { $0.name == name } }
}
