internal import Bytes
internal import Migration

extension VerificationReport {
  /// How many properties have come out how.
  private var counts: (proven: Int, refuted: Int, notChecked: Int) {
    var counts = (proven: 0, refuted: 0, notChecked: 0)
    for entry in outcomes {
      switch entry.outcome {
      case .proven: counts.proven += 1
      case .refuted: counts.refuted += 1
      case .notChecked: counts.notChecked += 1
      }
    }
    return counts
  }

  /// The sum, which never hides what was not checked.
  var verdict: String {
    let counts = counts
    let open = counts.notChecked == 0 ? "" : ", \(counts.notChecked) not checked"
    let proven = "\(counts.proven) of \(outcomes.count) properties proven\(open)"
    if let refusal { return "refuted [\(refusal.code.rawValue)]: \(proven)" }
    return "nothing refuted: \(proven)"
  }

  /// One line for each property, then the verdict.
  func text(_ style: Style) -> String {
    let width = outcomes.map { $0.property.rawValue.count }.max() ?? 0
    var text = ""
    for (property, outcome) in outcomes {
      let name = property.rawValue + String(repeating: " ", count: width - property.rawValue.count)
      switch outcome {
      case .proven:
        text += "\(style.good("proven     "))  \(name)  \(property.meaning(of: kind))\n"
      case .refuted(let error):
        text += "\(style.bad("refuted    "))  \(name)  \(RenderedText.printable("\(error)"))\n"
      case .notChecked(let reason):
        text += "\(style.doubtful("not checked"))  \(name)  \(reason)\n"
      }
    }
    return text + style.strong(verdict) + "\n"
  }

  /// The report as JSON, schema `svsm-migration/verify/1` (`Formats/json.md`).
  func json(of stream: String, withInstance: Bool) -> JSON {
    let properties = outcomes.map { property, outcome -> JSON in
      var members: [JSON.Member] = [
        .init("name", .string(property.rawValue)),
        .init("meaning", .string(property.meaning(of: kind))),
      ]
      switch outcome {
      case .proven: members.append(.init("outcome", "proven"))
      case .refuted(let error):
        members.append(.init("outcome", "refuted"))
        members.append(.init("refusal", .object(error.jsonMembers)))
      case .notChecked(let reason):
        members.append(.init("outcome", "not-checked"))
        members.append(.init("reason", .string(reason)))
      }
      return .object(members)
    }
    let counts = counts
    var members: [JSON.Member] = [
      .init("schema", "svsm-migration/verify/1"), .init("stream", .string(stream)),
      .init("kind", .string(kind.rawValue)), .init("withInstance", .bool(withInstance)),
      .init("verdict", .string(verdict)), .init("proven", JSON(counts.proven)),
      .init("refuted", JSON(counts.refuted)), .init("notChecked", JSON(counts.notChecked)),
      .init("properties", .array(properties)),
    ]
    if kind == .qemu {
      members.append(.init("signerSHA256", signerHash.map { .hex(bytes: $0) } ?? .null))
    }
    members.append(.init("exitStatus", JSON(refusal?.code.exitStatus ?? 0)))
    return .object(members)
  }
}
