internal import Errors
internal import JSON

extension ErrorCode {
  /// The output of `svsm-mig-verify --explain`.
  func explained(_ style: Style) -> String {
    let row = row
    var text = "\(style.strong(rawValue))  (exit status \(exitStatus))\n"
    text += "  means   \(row.meaning.spelled)\n"
    for (index, cause) in row.causes.map(\.spelled).enumerated() {
      text += (index == 0 ? "  causes  " : "          ") + "- \(cause)\n"
    }
    return text + "  do      \(row.remedy.spelled)\n  rule    \(clause())\n"
  }

  /// The same as JSON, schema `svsm-migration/explanation/1` (`Formats/json.md`).
  var explainedAsJSON: JSON {
    let row = row
    return [
      "schema": "svsm-migration/explanation/1", "code": .string(rawValue),
      "codeExitStatus": JSON(exitStatus), "meaning": .string(row.meaning.spelled),
      "causes": .array(row.causes.map { .string($0.spelled) }),
      "remedy": .string(row.remedy.spelled), "rule": .string("\(clause())"), "exitStatus": 0,
    ]
  }

  /// The code that `text` names, in either case.
  init?(named text: String) { self.init(rawValue: text.uppercased()) }

  /// The codes whose names are nearest to `text`, nearest first.
  static func near(_ text: String) -> [ErrorCode] {
    let wanted = Array(text.uppercased().utf8.prefix(64))
    let ranked = allCases.map { code in (code, Self.distance(wanted, Array(code.rawValue.utf8))) }
    return ranked.sorted { ($0.1, $0.0.rawValue) < ($1.1, $1.0.rawValue) }.prefix(3).map(\.0)
  }

  /// Edit distance: the number of letters to change, insert or delete to turn one text into the
  /// other.
  private static func distance(_ one: [UInt8], _ other: [UInt8]) -> Int {
    var row = Array(0...other.count)
    for (index, letter) in one.enumerated() {
      var diagonal = row[0]
      row[0] = index + 1
      for (place, target) in other.enumerated() {
        let changed = diagonal + (letter == target ? 0 : 1)
        diagonal = row[place + 1]
        row[place + 1] = min(changed, row[place] + 1, diagonal + 1)
      }
    }
    return row[other.count]
  }
}
