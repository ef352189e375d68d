internal import Errors
internal import JSON

// Text and JSON for a finding and the rule it breaks.
extension MigrationError {
  /// The finding as lines of text.
  func lines(breaking clause: Clause) -> String {
    RenderedText.wrapped(RenderedText.printable(spelled), indent: 4, hanging: 6)
      + "      \(clause)\n"
  }

  /// The members of the error's JSON, and `clause`.
  func json(breaking clause: Clause) -> JSON {
    var place: [JSON.Member] = [
      .init("document", .string("Formats/\(clause.document)")),
      .init("section", .string(clause.section)),
    ]
    if let rule = clause.rule { place.append(.init("rule", JSON(rule))) }
    return .object(jsonMembers + [.init("clause", .object(place))])
  }
}

extension RenderedText {
  /// Most columns of a line, unless a single word is longer.
  private static let columns = 98

  /// Text wrapped into lines, all but the first with a hanging indent.
  static func wrapped(_ text: String, indent: Int, hanging: Int? = nil) -> String {
    let start = String(repeating: " ", count: indent)
    let next = String(repeating: " ", count: hanging ?? indent)
    var lines: [String] = []
    var line = ""
    for word in text.split(separator: " ", omittingEmptySubsequences: false) {
      let room = columns - (lines.isEmpty ? indent : next.count)
      if !line.isEmpty, line.count + 1 + word.count > room {
        lines.append(line)
        line = String(word)
      } else {
        line += (line.isEmpty ? "" : " ") + word
      }
    }
    lines.append(line)
    return lines.enumerated().map { ($0 == 0 ? start : next) + $1 + "\n" }.joined()
  }
}
