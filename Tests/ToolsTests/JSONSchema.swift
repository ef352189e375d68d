import Foundation
import JSON
import TestSupport

/// Holds JSON against a schema of the draft 2020-12, as far as the schemas in `Formats` go: a keyword that
/// is not known here is a problem of its own, so that none is passed over.
struct JSONSchema {
  private let root: JSON

  init(_ path: String) throws {
    root = try JSON(parsing: Array(Repository.text(path).utf8))
  }

  /// Everything that is not as the schema says.
  func problems(of value: JSON) -> [String] { check(value, root, at: "") }

  private func check(_ value: JSON, _ schema: JSON, at place: String) -> [String] {
    (schema.members ?? []).flatMap { keyword in
      check(value, keyword.key, keyword.value, schema, at: place).map { "\(place): \($0)" }
    }
  }

  private func check(
    _ value: JSON, _ keyword: String, _ rule: JSON, _ schema: JSON, at place: String
  ) -> [String] {
    func need(_ holds: Bool) -> [String] { holds ? [] : ["\(keyword) \(rule)"] }
    let members = value.members
    switch keyword {
    case "$schema", "$id", "$defs", "title", "description": return []
    case "$ref":
      guard let name = rule.string?.split(separator: "/").last,
        let target = root["$defs"]?[String(name)]
      else { return ["no \(rule)"] }
      return check(value, target, at: place)
    case "type":
      let types = rule.string.map { [$0] } ?? (rule.array ?? []).compactMap(\.string)
      return need(types.contains { isOf($0, value) })
    case "const": return need(value == rule)
    case "enum": return need(rule.array?.contains(value) ?? false)
    case "oneOf":
      let fitting = (rule.array ?? []).count { check(value, $0, at: place).isEmpty }
      return fitting == 1 ? [] : ["\(fitting) of oneOf fit"]
    case "required":
      guard let members else { return [] }
      return (rule.array ?? []).compactMap(\.string)
        .filter { name in !members.contains { $0.key == name } }.map { "lacks \($0)" }
    case "properties":
      return (members ?? []).flatMap { member -> [String] in
        guard let inner = rule[member.key] else { return [] }
        return check(member.value, inner, at: "\(place)/\(member.key)")
      }
    case "additionalProperties":
      guard rule == false else { return ["additionalProperties that is not false"] }
      // By bytes, as JSON compares keys.
      return (members ?? []).filter { schema["properties"]?[$0.key] == nil }
        .map { "has \($0.key)" }
    case "items":
      return (value.array ?? []).enumerated().flatMap {
        check($0.element, rule, at: "\(place)/\($0.offset)")
      }
    case "minItems": return need(value.array.map { $0.count >= rule.int ?? 0 } ?? true)
    case "maxItems": return need(value.array.map { $0.count <= rule.int ?? 0 } ?? true)
    case "minProperties": return need(members.map { $0.count >= rule.int ?? 0 } ?? true)
    case "minLength": return need(value.string.map { $0.count >= rule.int ?? 0 } ?? true)
    case "minimum": return need(value.uint.map { $0 >= rule.uint ?? 0 } ?? true)
    case "maximum": return need(value.uint.map { $0 <= rule.uint ?? 0 } ?? true)
    case "pattern":
      guard let text = value.string, let pattern = rule.string else { return [] }
      return need(text.range(of: pattern, options: .regularExpression) != nil)
    default: return ["keyword \(keyword) is not known"]
    }
  }

  private func isOf(_ type: String, _ value: JSON) -> Bool {
    switch type {
    case "object": value.members != nil
    case "array": value.array != nil
    case "string": value.string != nil
    case "boolean": value.bool != nil
    case "null": value.isNull
    case "integer": value.uint != nil
    default: false
    }
  }
}
