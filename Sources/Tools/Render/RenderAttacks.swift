internal import Attacks
internal import Errors
internal import JSON
internal import Trials
internal import Wire

extension Attack {
  /// The catalogue of attacks as text.
  static func listText(_ style: Style) -> String {
    var rows: [[String]] = []
    for attack in all {
      let threats = attack.threats.map { "\($0)" }.joined(separator: " ")
      let needs = attack.needs.isEmpty ? "" : " (needs: \(attack.needs.joined(separator: ", ")))"
      let subject = attack.subject == .stream ? "" : "\(attack.subject.rawValue): "
      rows.append([attack.name, threats, subject + attack.summary + needs])
    }
    var text = RenderedText()
    text.table(rows, indent: 0)
    text.line("\(all.count) attacks; the numbers are rows of Formats/threats.md", as: style.dim)
    return text.text
  }

  /// The catalogue of attacks as JSON, schema `svsm-migration/attacks/1` (`Formats/json.md`).
  static var listJSON: JSON {
    let attacks = all.map { attack -> JSON in
      [
        "name": .string(attack.name), "threats": .array(attack.threats.map { JSON($0) }),
        "summary": .string(attack.summary), "subject": .string(attack.subject.rawValue),
        "needs": .array(attack.needs.map { .string($0) }), "recipe": .string(attack.text),
        "consistent": .bool(attack.mended != nil),
      ]
    }
    return ["schema": "svsm-migration/attacks/1", "attacks": .array(attacks), "exitStatus": 0]
  }
}

/// The outcomes of an attack matrix, as text and as JSON.
struct AttackTable {
  private let outcomes: [AttackMatrix.Outcome]

  init(_ outcomes: [AttackMatrix.Outcome]) { self.outcomes = outcomes }

  private var made: [AttackMatrix.Outcome] { outcomes.filter(\.wasMade) }
  private var accepted: [AttackMatrix.Outcome] { outcomes.filter(\.isAccepted) }
  private var exceptions: [AttackMatrix.Outcome] { made.filter(\.isException) }
  private var unexpected: [AttackMatrix.Outcome] { outcomes.filter { !$0.isAsExpected } }

  /// Whether no attack was accepted and every code is the expected one.
  var isGood: Bool { accepted.isEmpty && unexpected.isEmpty && !made.isEmpty }

  private static func mode(_ outcome: AttackMatrix.Outcome) -> String {
    outcome.isMended ? "consistent" : "plain"
  }

  private static func codes(
    _ outcomes: [AttackMatrix.Outcome], _ code: (AttackMatrix.Outcome) -> ErrorCode?
  ) -> String {
    var seen: [String] = []
    for outcome in outcomes {
      let text = code(outcome)?.rawValue ?? "-"
      if !seen.contains(text) { seen.append(text) }
    }
    return seen.joined(separator: " ")
  }

  func text(_ style: Style) -> String {
    var rows = [["attack", "mode", "verify", "verify with keys", "load", "streams"]]
    for attack in Attack.all {
      for isMended in [false, true] {
        let all = outcomes.filter { $0.attack.name == attack.name && $0.isMended == isMended }
        guard let first = all.first else { continue }
        let made = all.filter(\.wasMade)
        guard !made.isEmpty else {
          rows.append([attack.name, Self.mode(first), "", "", "", "0: no stream has what it needs"])
          continue
        }
        let isStream = attack.subject == .stream
        rows.append([
          attack.name, isStream ? Self.mode(first) : attack.subject.rawValue,
          isStream ? Self.codes(made) { $0.keyless } : "",
          isStream ? Self.codes(made) { $0.keyed } : "",
          Self.codes(made) { $0.loaded }
            + (made.contains(where: \.isException) ? " (one-way)" : ""),
          "\(made.count)",
        ])
      }
    }
    var text = RenderedText()
    text.table(rows, indent: 0)
    text.line()
    for outcome in unexpected {
      let expected = outcome.isMended ? outcome.attack.mended : outcome.attack.plain
      text.line(
        "unexpected: \(outcome.attack.name), \(Self.mode(outcome)), of \(outcome.stream): "
          + Self.verdict(outcome) + "; expected " + (expected?.text ?? "nothing"),
        as: style.bad)
    }
    for outcome in exceptions {
      text.line(
        "as documented: \(outcome.attack.name) of \(outcome.stream) is accepted by a load with "
          + "--one-way", as: style.doubtful)
    }
    text.line(
      "refused without keys: \(made.count { $0.keyless != nil }) of "
        + "\(made.count { $0.attack.subject == .stream })")
    text.line(
      "accepted: \(accepted.count) of \(made.count)", as: isGood ? style.good : style.bad)
    return text.text
  }

  private static func verdict(_ outcome: AttackMatrix.Outcome) -> String {
    let words = [outcome.keyless, outcome.keyed, outcome.loaded].map { $0?.rawValue ?? "-" }
    let left = outcome.leftovers.isEmpty ? "" : ", left behind: \(outcome.leftovers)"
    return words.joined(separator: ", ") + left
  }

  /// The outcomes as JSON, schema `svsm-migration/attack-matrix/1` (`Formats/json.md`).
  var json: JSON {
    let rows = outcomes.map { outcome -> JSON in
      var members: [JSON.Member] = [
        .init("attack", .string(outcome.attack.name)), .init("stream", .string(outcome.stream)),
        .init("subject", .string(outcome.attack.subject.rawValue)),
        .init("consistent", .bool(outcome.isMended)), .init("made", .bool(outcome.wasMade)),
      ]
      if let needs = outcome.needs {
        members.append(.init("reason", .string(needs.what.spelled)))
      } else {
        if outcome.attack.subject == .stream {
          members.append(.init("verify", Self.code(outcome.keyless)))
          members.append(.init("verifyWithKeys", Self.code(outcome.keyed)))
          members.append(.init("leftBehind", .array(outcome.leftovers.map { .string($0) })))
        }
        members.append(.init("load", Self.code(outcome.loaded)))
        members.append(.init("accepted", .bool(outcome.isAccepted)))
        members.append(.init("oneWayException", .bool(outcome.isException)))
        members.append(.init("expected", .bool(outcome.isAsExpected)))
      }
      return .object(members)
    }
    return [
      "schema": "svsm-migration/attack-matrix/1", "attacks": .array(rows),
      "made": JSON(made.count), "accepted": JSON(accepted.count),
      "unexpected": JSON(unexpected.count), "exitStatus": JSON(isGood ? 0 : 1),
    ]
  }

  private static func code(_ code: ErrorCode?) -> JSON {
    code.map { .string($0.rawValue) } ?? .null
  }
}
