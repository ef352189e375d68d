internal import Attacks
internal import Errors
internal import JSON
internal import Trials

/// The outcomes of a run of vectors, as text and as JSON.
struct VectorTable {
  private let trials: [VectorTrial]

  init(_ trials: [VectorTrial]) { self.trials = trials }

  private func count(_ status: String) -> Int { trials.count { Self.status(of: $0) == status } }

  /// Whether at least one vector was run, and every outcome is the expected one.
  var isGood: Bool { count("agrees") > 0 && count("differs") == 0 }

  private static func status(of trial: VectorTrial) -> String {
    switch trial.outcome {
    case .agrees: "agrees"
    case .differs: "differs"
    case .notRun: "not run"
    }
  }

  private static func required(_ vector: Vector) -> String {
    guard case .refused(let code, _, _) = vector.verdict else { return "accepted" }
    return code.rawValue
  }

  func text(_ style: Style) -> String {
    var rows: [[String]] = []
    for trial in trials {
      let reason =
        switch trial.outcome {
        case .agrees: trial.vector.what
        case .differs(let why), .notRun(let why): why.spelled
        }
      rows.append([
        Self.status(of: trial), trial.vector.name, Self.required(trial.vector), reason,
      ])
    }
    var text = RenderedText()
    text.table(rows, indent: 0)
    text.line(
      "\(trials.count) vectors: \(count("agrees")) agree, \(count("differs")) differ, "
        + "\(count("not run")) not run", as: isGood ? style.dim : style.bad)
    return text.text
  }

  /// The outcomes as JSON, schema `svsm-migration/vectors/1` (`Formats/json.md`).
  var json: JSON {
    let vectors = trials.map { trial -> JSON in
      var members: [JSON.Member] = [
        .init("name", .string(trial.vector.name)),
        .init("subject", .string(trial.vector.subject.rawValue)),
        .init("required", .string(Self.required(trial.vector))),
        .init("status", .string(Self.status(of: trial))),
      ]
      switch trial.outcome {
      case .agrees: break
      case .differs(let why), .notRun(let why):
        members.append(.init("reason", .string(why.spelled)))
      }
      return .object(members)
    }
    return [
      "schema": "svsm-migration/vectors/1", "vectors": .array(vectors),
      "agree": JSON(count("agrees")), "differ": JSON(count("differs")),
      "notRun": JSON(count("not run")), "exitStatus": JSON(isGood ? 0 : 1),
    ]
  }
}
