import JSON
import TestSupport

/// Checks JSON against the tables of `Formats/json.md`.
struct DocumentedJSON {
  /// A row.
  struct Key: Sendable {
    /// As it is written: `ramBlocks[].name`.
    var path: String
    var types: [String]
    var condition: String

    init?(row: some StringProtocol) {
      let cells = row.split(separator: "|", omittingEmptySubsequences: false)
        .dropFirst().dropLast().map { $0.trimmed }
      guard cells.count == 4, cells[0].hasPrefix("`"), cells[0].hasSuffix("`") else { return nil }
      path = String(cells[0].dropFirst().dropLast())
      types = cells[1].split(separator: " or ").map(String.init)
      condition = cells[3]
    }
  }

  /// The rows behind each line `<!-- json: NAME -->`.
  static let tables: [String: [Key]] = {
    // A text that is missing has no keys, and every key of an output is looked for.
    let text = (try? Repository.text("Formats/json.md")) ?? ""
    var tables: [String: [Key]] = [:]
    var name: String?
    for line in text.split(separator: "\n") {
      if line.hasPrefix("<!-- json: "), line.hasSuffix(" -->") {
        name = String(line.dropFirst(11).dropLast(4))
      } else if !line.hasPrefix("|") {
        name = nil
      } else if let table = name, let key = Key(row: line) {
        tables[table, default: []].append(key)
      }
    }
    return tables
  }()

  static func isKnown(_ type: String) -> Bool {
    let element = type.hasPrefix("array of ") ? String(type.dropFirst(9)) : type
    return [
      "number", "string", "boolean", "null", "bytes", "address", "any", "object",
      "array",
    ].contains(element) || tables[element] != nil
  }

  /// `TABLE PATH` of each key that came.
  private(set) var seen: Set<String> = []
  private(set) var problems: [String] = []

  mutating func check(_ value: JSON, _ table: String) {
    checkMembers(value.members ?? [], table, below: "")
  }

  private mutating func checkMembers(_ members: [JSON.Member], _ table: String, below: String) {
    let keys = (Self.tables[table] ?? []).filter { key in
      key.path.hasPrefix(below) && !key.path.dropFirst(below.count).contains(".")
    }
    for member in members {
      let path = below + member.key
      guard let key = keys.first(where: { $0.path == path || $0.path == below + "*" }) else {
        problems.append("\(table): \(path) is not documented")
        continue
      }
      seen.insert("\(table) \(key.path)")
      if !key.types.contains(where: { matches(member.value, $0) }) {
        problems.append("\(table): \(path) is \(member.value), not \(key.types)")
      }
      descend(member.value, key, table)
    }
    for key in keys where key.condition == "always" {
      if !members.contains(where: { below + $0.key == key.path }) {
        problems.append("\(table): \(key.path) is missing")
      }
    }
  }

  private mutating func descend(_ value: JSON, _ key: Key, _ table: String) {
    if let members = value.members {
      if key.types.contains("object") {
        checkMembers(members, table, below: key.path + ".")
      } else if let inner = key.types.first(where: { Self.tables[$0] != nil }) {
        checkMembers(members, inner, below: "")
      }
    } else if let list = key.types.first(where: { $0.hasPrefix("array of ") }),
      Self.tables[String(list.dropFirst(9))] != nil
    {
      for element in value.array ?? [] {
        checkMembers(element.members ?? [], String(list.dropFirst(9)), below: "")
      }
    } else if key.types.contains("array") {
      for element in value.array ?? [] {
        checkMembers(element.members ?? [], table, below: key.path + "[].")
      }
    }
  }

  private func matches(_ value: JSON, _ type: String) -> Bool {
    func isHex(_ text: some StringProtocol) -> Bool {
      text.utf8.allSatisfy { 0x30...0x39 ~= $0 || 0x61...0x66 ~= $0 }
    }
    switch type {
    case "number": return value.uint != nil
    case "string": return value.string != nil
    case "boolean": return value.bool != nil
    case "null": return value.isNull
    case "any": return true
    case "bytes": return value.string.map { isHex($0) && $0.utf8.count % 2 == 0 } ?? false
    case "address":
      guard let text = value.string, text.hasPrefix("0x") else { return false }
      return isHex(text.dropFirst(2)) && 3...18 ~= text.utf8.count
    case "array": return value.array?.allSatisfy { $0.members != nil } ?? false
    case _ where type.hasPrefix("array of "):
      return value.array?.allSatisfy { matches($0, String(type.dropFirst(9))) } ?? false
    default: return value.members != nil
    }
  }
}

extension StringProtocol {
  /// Without spaces at either end.
  fileprivate var trimmed: String {
    String(drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
  }
}
