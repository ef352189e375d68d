extension JSON {
  /// One line with QEMU's separators `", "` and `": "`, ASCII only, as a VM description is written.
  package var compact: [UInt8] {
    var output: [UInt8] = []
    write(to: &output, indent: nil)
    return output
  }

  /// Two spaces per level, one member or element per line, ASCII only, without a final newline.
  /// Empty arrays and objects are on one line.
  package var pretty: [UInt8] {
    var output: [UInt8] = []
    write(to: &output, indent: 0)
    return output
  }

  func write(to output: inout [UInt8], indent: Int?) {
    switch self {
    case .null: output.append(contentsOf: "null".utf8)
    case .bool(let flag): output.append(contentsOf: (flag ? "true" : "false").utf8)
    case .unsigned(let value): output.append(contentsOf: String(value).utf8)
    case .negative(let value): output.append(contentsOf: String(value).utf8)
    case .decimal(let text): output.append(contentsOf: text.utf8)
    case .string(let text): JSON.write(text, to: &output)
    case .array(let elements):
      JSON.writeList(elements, "[", "]", to: &output, indent: indent) { element, output, inner in
        element.write(to: &output, indent: inner)
      }
    case .object(let members):
      JSON.writeList(members, "{", "}", to: &output, indent: indent) { member, output, inner in
        JSON.write(member.key, to: &output)
        output.append(contentsOf: ": ".utf8)
        member.value.write(to: &output, indent: inner)
      }
    }
  }

  private static func writeList<Item>(
    _ items: [Item], _ open: Unicode.Scalar, _ close: Unicode.Scalar, to output: inout [UInt8],
    indent: Int?, each: (Item, inout [UInt8], Int?) -> Void
  ) {
    output.append(UInt8(ascii: open))
    let inner = items.isEmpty ? nil : indent.map { $0 + 2 }
    for (index, item) in items.enumerated() {
      if index > 0 { output.append(contentsOf: (inner == nil ? ", " : ",").utf8) }
      if let inner { newline(inner, to: &output) }
      each(item, &output, inner)
    }
    if inner != nil, let indent { newline(indent, to: &output) }
    output.append(UInt8(ascii: close))
  }

  private static func newline(_ indent: Int, to output: inout [UInt8]) {
    output.append(0x0A)
    output.append(contentsOf: repeatElement(0x20, count: indent))
  }

  /// Writes a string, escaped as QEMU does: everything outside printable ASCII becomes `\uXXXX`, in
  /// UTF-16 code units.
  static func write(_ text: String, to output: inout [UInt8]) {
    output.append(UInt8(ascii: "\""))
    for unit in text.utf16 {
      switch unit {
      case 0x22: output.append(contentsOf: "\\\"".utf8)
      case 0x5C: output.append(contentsOf: "\\\\".utf8)
      case 0x08: output.append(contentsOf: "\\b".utf8)
      case 0x0C: output.append(contentsOf: "\\f".utf8)
      case 0x0A: output.append(contentsOf: "\\n".utf8)
      case 0x0D: output.append(contentsOf: "\\r".utf8)
      case 0x09: output.append(contentsOf: "\\t".utf8)
      case 0x20...0x7E: output.append(UInt8(truncatingIfNeeded: unit))
      default:
        let digits = String(unit, radix: 16, uppercase: true)
        output.append(contentsOf: "\\u".utf8)
        output.append(contentsOf: repeatElement(0x30, count: 4 - digits.utf8.count))
        output.append(contentsOf: digits.utf8)
      }
    }
    output.append(UInt8(ascii: "\""))
  }
}

extension JSON: CustomStringConvertible {
  /// The compact text.
  package var description: String { String(decoding: compact, as: UTF8.self) }
}
