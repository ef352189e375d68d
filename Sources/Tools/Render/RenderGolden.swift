internal import Comparison
internal import Errors
internal import JSON
internal import Wire

/// What came of scenarios of golden files, as text and as JSON (schema `svsm-migration/golden/1`).
struct RenderGolden {
  static let schema = "svsm-migration/golden/1"
  /// Most values of a JSON text that are shown without `--verbose`.
  private static let valueLimit = 8

  private let isLong: Bool
  private let style: Style
  private var out = RenderedText()

  // MARK: Text

  /// One scenario: a line for each file that is not as it should be, with what differs under it.
  static func text(
    _ outcome: GoldenOutcome, isLong: Bool, style: Style
  ) throws(MigrationError) -> String {
    var text = RenderGolden(isLong: isLong, style: style)
    try text.show(outcome)
    return text.out.takeText()
  }

  private mutating func show(_ outcome: GoldenOutcome) throws(MigrationError) {
    for file in outcome.files where file.status != .same || isLong {
      let place = "\(outcome.name)/\(file.name)"
      switch file.status {
      case .same: out.line("\(place): same")
      case .missing:
        out.line("\(place): is not among the expected files; --update writes it", as: style.bad)
      case .differs: out.line("\(place): differs", as: style.bad)
      case .updated: out.line("\(place): updated", as: style.doubtful)
      }
      if let difference = file.difference { try show(difference) }
    }
    guard let failure = outcome.failure else { return }
    let call = (["svsm-mig-\(failure.call.tool)"] + failure.call.arguments).joined(separator: " ")
    out.line(
      "\(outcome.name): \(call): exit status \(failure.status), expected \(failure.call.status)",
      as: style.bad)
    for line in failure.message.split(separator: "\n") { out.line("  \(line)") }
  }

  private mutating func show(_ difference: GoldenDifference) throws(MigrationError) {
    switch difference {
    case .streams(let comparison):
      var text = ""
      try ComparisonText.render(comparison, isLong: isLong, style: style) { text += $0 }
      for line in text.split(separator: "\n") { out.line("  \(line)", as: { $0 }) }
    case .values(let values, let omitted):
      let limit = isLong ? values.count : Self.valueLimit
      for value in values.prefix(limit) { out.line("  \(value.text)") }
      let left = values.count - min(values.count, limit) + omitted
      if left > 0 { out.line("  and \(Spelled.count(left, "value")) more") }
    case .lines(let first, let before, let after, let count):
      out.line("  line \(first), the first of \(count):")
      out.line("  A  \(before.prefix(200))")
      out.line("  B  \(after.prefix(200))")
    case .bytes(let first, let before, let after):
      out.line(
        "  from byte \(Hex.number(first)) on; \(Spelled.bytes(before)) expected, \(Spelled.bytes(after)) made"
      )
    }
  }

  /// The last line.
  static func verdict(_ outcomes: [GoldenOutcome]) -> String {
    let files = outcomes.flatMap(\.files)
    var parts = [
      "\(Spelled.count(outcomes.count, "scenario")), \(Spelled.count(files.count, "file"))"
    ]
    for (status, word) in [
      (GoldenOutcome.Status.differs, "differ"), (.missing, "missing"), (.updated, "updated"),
    ] {
      let count = files.count { $0.status == status }
      if count > 0 { parts.append("\(count) \(word)") }
    }
    let failed = outcomes.count { $0.failure != nil }
    if failed > 0 { parts.append("\(Spelled.count(failed, "scenario")) failed") }
    if parts.count == 1 { parts.append("all as expected") }
    return parts.joined(separator: ", ") + "\n"
  }

  // MARK: JSON

  static func json(_ outcomes: [GoldenOutcome]) -> JSON {
    [
      "schema": .string(schema),
      "scenarios": .array(outcomes.map(json)),
      "exitStatus": JSON(outcomes.allSatisfy(\.isGood) ? 0 : 1),
    ]
  }

  private static func json(_ outcome: GoldenOutcome) -> JSON {
    var members: [JSON.Member] = [
      .init("name", .string(outcome.name)), .init("good", .bool(outcome.isGood)),
      .init("files", .array(outcome.files.map(json))),
    ]
    if let failure = outcome.failure {
      members.append(
        .init(
          "failure",
          [
            "tool": .string("svsm-mig-\(failure.call.tool)"),
            "arguments": .text(failure.call.arguments), "status": JSON(failure.status),
            "expected": JSON(failure.call.status), "message": .string(failure.message),
          ]))
    }
    return .object(members)
  }

  private static func json(_ file: GoldenOutcome.File) -> JSON {
    var members: [JSON.Member] = [
      .init("name", .string(file.name)), .init("status", .string(file.status.rawValue)),
    ]
    switch file.difference {
    case nil: break
    case .streams(let comparison):
      members.append(.init("differences", ComparisonJSON.differences(comparison)))
    case .values(let values, let omitted):
      members.append(.init("differences", .array(values.map(ComparisonJSON.difference))))
      members.append(.init("differencesOmitted", JSON(omitted)))
    case .lines(let first, _, _, let count):
      members += [.init("firstLine", JSON(first)), .init("lines", JSON(count))]
    case .bytes(let first, _, _): members.append(.init("firstByte", JSON(first)))
    }
    return .object(members)
  }
}
