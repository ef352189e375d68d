internal import Cryptography
internal import Errors
internal import Inspection
internal import JSON
internal import QEMUStream
internal import Wire

extension DecodedDevice {
  // MARK: JSON

  func json() throws(MigrationError) -> JSON {
    var members: [JSON.Member] = [
      .init("name", .string(name)), .init("instanceID", JSON(instance)),
      // `instance` is the first name of `instanceID` and is kept for existing readers.
      .init("instance", JSON(instance)), .init("offset", JSON(offset)),
      .init("size", JSON(body.count)), .init("sha256", .hex(bytes: try SHA256.hash(body))),
    ]
    switch state {
    case .success(let state):
      members.append(.init("fields", state.fields))
      members.append(
        .init(
          "described",
          .array(
            state.described.map { part in
              ["path": .string(part.path), "type": .string(part.type), "value": part.value]
            })))
    case .failure(let error): members.append(.init("error", .object(error.jsonMembers)))
    }
    return .object(members)
  }

  // MARK: Text

  /// Longer values are cut in text: a person needs only the start of a long hex value.
  private static let textLimit = 96

  /// Shows the values, one field on each line, nested fields indented.
  func show(_ out: inout RenderedText) throws(MigrationError) {
    switch state {
    case .success(let state):
      Self.show(state.fields, &out, indent: 2)
      for part in state.described {
        out.line("  of these bytes, \(part.path) holds (\(part.type))")
        Self.show(part.value, &out, indent: 4)
      }
    case .failure(let error):
      out.line("  not decoded: \(error.spelled)")
      out.field("bytes", "\(body.count), SHA-256 \(Hex.encode(try SHA256.hash(body)))", indent: 2)
    }
  }

  private static func show(_ value: JSON, _ out: inout RenderedText, indent: Int) {
    if let elements = value.array { show(elements, "", &out, indent: indent) }
    for member in value.members ?? [] {
      switch member.value {
      case .object:
        out.line(String(repeating: " ", count: indent) + member.key)
        show(member.value, &out, indent: indent + 2)
      case .array(let elements):
        show(elements, member.key, &out, indent: indent)
      default:
        out.field(member.key, text(of: member.value), width: 32, indent: indent)
      }
    }
  }

  private static func show(
    _ elements: [JSON], _ key: String, _ out: inout RenderedText, indent: Int
  ) {
    if elements.allSatisfy({ $0.members == nil && $0.array == nil }) {
      let joined = elements.map { text(of: $0) }.joined(separator: " ")
      out.field(key, cut(joined), width: 32, indent: indent)
      return
    }
    for (index, element) in elements.enumerated() {
      out.line(String(repeating: " ", count: indent) + "\(key)[\(index)]")
      if element.members != nil {
        show(element, &out, indent: indent + 2)
      } else {
        out.line(String(repeating: " ", count: indent + 2) + text(of: element))
      }
    }
  }

  private static func text(of value: JSON) -> String {
    cut(value.string ?? value.bool.map { $0 ? "true" : "false" } ?? value.description)
  }

  private static func cut(_ text: String) -> String {
    text.count > textLimit ? "\(text.prefix(textLimit))… (\(text.count) characters)" : text
  }
}
