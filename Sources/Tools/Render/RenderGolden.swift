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
    let place = "\(outcome.name)/\(GoldenScenario.fileName) line \(failure.line)"
    switch failure.reason {
    case .ended(let call, let status, let message):
      let words = (["svsm-mig-\(call.tool)"] + call.arguments).joined(separator: " ")
      out.line("\(place): \(words): exit status \(status), expected \(call.status)", as: style.bad)
      for line in message.split(separator: "\n") { out.line("  \(line)") }
    case .refused(let error): out.line("\(place): \(error.spelled)", as: style.bad)
    }
  }

  private mutating func show(_ difference: GoldenDifference) throws(MigrationError) {
    switch difference {
    case .streams(let comparison, let unopened):
      if let unopened { show(unopened, "compared without the instance") }
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
    case .bytes(let first, let before, let after, let unread):
      if let unread { show(unread, "compared byte by byte") }
      out.line(
        "  from byte \(Hex.number(first)) on; \(Spelled.bytes(before)) expected, \(Spelled.bytes(after)) made"
      )
    }
  }

  private mutating func show(_ refusal: GoldenDifference.Refusal, _ consequence: String) {
    let file = refusal.isMade ? "made" : "expected"
    out.line("  \(consequence), since the \(file) stream is refused: \(refusal.error.spelled)")
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
      guard count > 0 else { continue }
      parts.append(count == 1 && status == .differs ? "1 differs" : "\(count) \(word)")
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
    if let failure = outcome.failure { members.append(.init("failure", json(failure))) }
    return .object(members)
  }

  private static func json(_ failure: GoldenOutcome.Failure) -> JSON {
    switch failure.reason {
    case .ended(let call, let status, let message):
      [
        "line": JSON(failure.line), "message": .string(message),
        "tool": .string("svsm-mig-\(call.tool)"), "arguments": .text(call.arguments),
        "status": JSON(status), "expected": JSON(call.status),
      ]
    case .refused(let error):
      [
        "line": JSON(failure.line), "message": .string(error.spelled),
        "code": .string(error.code.rawValue),
      ]
    }
  }

  private static func json(_ file: GoldenOutcome.File) -> JSON {
    var members: [JSON.Member] = [
      .init("name", .string(file.name)), .init("status", .string(file.status.rawValue)),
    ]
    switch file.difference {
    case nil: break
    case .streams(let comparison, let unopened):
      members.append(.init("differences", ComparisonJSON.differences(comparison)))
      members += unopened.map(json) ?? []
    case .values(let values, let omitted):
      members.append(.init("differences", .array(values.map(ComparisonJSON.difference))))
      members.append(.init("differencesOmitted", JSON(omitted)))
    case .lines(let first, _, _, let count):
      members += [.init("firstLine", JSON(first)), .init("lines", JSON(count))]
    case .bytes(let first, _, _, let unread):
      members.append(.init("firstByte", JSON(first)))
      members += unread.map(json) ?? []
    }
    return .object(members)
  }

  private static func json(_ refusal: GoldenDifference.Refusal) -> [JSON.Member] {
    [
      .init(
        "refusal",
        [
          "file": .string(refusal.isMade ? "made" : "expected"),
          "code": .string(refusal.error.code.rawValue),
          "message": .string(refusal.error.spelled),
        ])
    ]
  }
}
