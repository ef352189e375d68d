internal import Errors
internal import Import
internal import JSON
internal import Migration
internal import QEMUStream
internal import Wire

extension VerificationReport {
  /// Number of properties with each outcome.
  private var counts: (proven: Int, refuted: Int, notCheckable: Int) {
    var counts = (proven: 0, refuted: 0, notCheckable: 0)
    for entry in outcomes {
      switch entry.outcome {
      case .proven: counts.proven += 1
      case .refuted: counts.refuted += 1
      case .notCheckable: counts.notCheckable += 1
      }
    }
    return counts
  }

  /// The conclusion, which always includes the properties that were not checked.
  var verdict: String {
    let counts = counts
    var sum = "\(counts.proven) of \(outcomes.count) properties proven"
    if counts.refuted > 0 { sum += ", \(counts.refuted) refuted" }
    if counts.notCheckable > 0 { sum += ", \(counts.notCheckable) not checkable here" }
    if let refusal {
      // A load also refuses when it lacks information, and such a refusal refutes no property.
      return "\(counts.refuted > 0 ? "refuted" : "refused") [\(refusal.code.rawValue)]: \(sum)"
    }
    return "nothing refuted: \(sum)"
  }

  /// Of a plain stream or a file: the answer to whether it is intact, in one line; nil for an SNP
  /// stream, of which no answer is that short.
  var answer: String? {
    guard kind != .snp else { return nil }
    if let refusal {
      let answer = refusal.code.saysIncomplete ? "not whole" : "not intact"
      return "\(answer): \(refusal.what.spelled) [\(refusal.code.rawValue)]"
    }
    if kind == .file { return "intact: \(sealAnswer)" }
    if case .notCheckable(let reason, _) = outcome(of: .structure) {
      return "intact as far as it can be checked: \(reason.spelled)"
    }
    let memory = kind == .confidential ? "encrypted content is not checked" : "all RAM is there"
    return "intact: every record is well formed, \(memory); \(sealAnswer)"
  }

  private var sealAnswer: String {
    guard case .proven = outcome(of: .seal) else { return "not sealed" }
    let signer: String
    if case .proven = outcome(of: .sealSigner) {
      signer = "signed by the given key"
    } else if let signerHash {
      signer = "signed by the key with SHA-256 \(Hex.encode(signerHash))"
    } else {
      signer = "not signed"
    }
    return "every byte matches its seal, \(signer)"
  }

  /// One line for each property, the findings that refute it below, then the verdict.
  func text(_ style: Style) -> String {
    let width = outcomes.map { $0.property.rawValue.count }.max() ?? 0
    var text = answer.map { style.strong(RenderedText.printable($0)) + "\n" } ?? ""
    for (property, outcome) in outcomes {
      let name = property.rawValue + String(repeating: " ", count: width - property.rawValue.count)
      switch outcome {
      case .proven:
        text += "\(style.good("proven       "))  \(name)  \(property.meaning(of: kind))\n"
      case .refuted(let refutations, let more):
        let count = UInt64(refutations.count) + more
        text += "\(style.bad("refuted      "))  \(name)  \(Spelled.count(count, "finding"))\n"
        for refutation in refutations {
          text += refutation.error.lines(breaking: refutation.clause)
        }
        if more > 0 { text += "    and \(more) more\n" }
      case .notCheckable(let reason, let needs):
        text += "\(style.doubtful("not checkable"))  \(name)  \(reason.spelled)\n"
        text += RenderedText.wrapped("needs \(needs.spelled)", indent: width + 17)
      }
    }
    let unchecked: String? =
      switch revocation {
      case .noList: "no --crl is given"
      case .noChain: "no revocation list of a chain's root is given: add it with --crl"
      case .checked, nil: nil
      }
    if let unchecked {
      text += "\(style.doubtful("not checked  "))  revocation: \(unchecked)\n"
    }
    if let sealRoot { text += "seal root      SHA-256 \(Hex.encode(sealRoot))\n" }
    if padding > 0 {
      text +=
        "\(style.doubtful("not covered  "))  padding: "
        + "\(Spelled.count(padding, "zero byte")) after the stream\n"
    }
    if let rest, rest > 0 {
      text +=
        "\(style.doubtful("not checked  "))  rest: "
        + "\(Spelled.count(rest, "byte")) of the file after --length\n"
    }
    return text + style.strong(verdict) + "\n"
  }

  /// The report as JSON, schema `svsm-migration/verify/3` (`Formats/json.md`).
  func json(
    of stream: String, withInstance: Bool, withOffer: Bool, withSigner: Bool
  ) -> JSON {
    let properties = outcomes.map { property, outcome -> JSON in
      var members: [JSON.Member] = [
        .init("name", .string(property.rawValue)),
        .init("meaning", .string(property.question(of: kind))),
      ]
      switch outcome {
      case .proven: members.append(.init("outcome", "proven"))
      case .refuted(let refutations, let more):
        members.append(.init("outcome", "refuted"))
        members.append(.init("refutations", .array(refutations.map(Self.json))))
        members.append(.init("moreRefutations", JSON(more)))
      case .notCheckable(let reason, let needs):
        members.append(.init("outcome", "not-checkable"))
        members.append(.init("reason", .string(reason.spelled)))
        members.append(.init("needs", .string(needs.spelled)))
      }
      return .object(members)
    }
    let counts = counts
    var members: [JSON.Member] = [
      .init("schema", "svsm-migration/verify/3"), .init("stream", .string(stream)),
      .init("kind", .string(kind.rawValue)), .init("withInstance", .bool(withInstance)),
      .init("withOffer", .bool(withOffer)), .init("withSigner", .bool(withSigner)),
      .init("verdict", .string(verdict)),
      .init("proven", JSON(counts.proven)), .init("refuted", JSON(counts.refuted)),
      .init("notCheckable", JSON(counts.notCheckable)), .init("properties", .array(properties)),
      .init("refusal", refusal.map { .object($0.jsonMembers) } ?? .null),
    ]
    if let revocation {
      members.append(.init("revocation", revocation == .checked ? "checked" : "not-checked"))
    }
    if padding > 0 { members.append(.init("padding", JSON(padding))) }
    if let rest { members.append(.init("rest", JSON(rest))) }
    if let dialect { members.append(.init("dialect", .string(dialect.rawValue))) }
    if let answer { members.append(.init("answer", .string(answer))) }
    if kind != .snp {
      members.append(.init("sealRoot", sealRoot.map { .hex(bytes: $0) } ?? .null))
      members.append(.init("signerSHA256", signerHash.map { .hex(bytes: $0) } ?? .null))
    }
    members.append(.init("exitStatus", JSON(refusal?.code.exitStatus ?? 0)))
    return .object(members)
  }

  private static func json(_ refutation: Refutation) -> JSON {
    refutation.error.json(breaking: refutation.clause)
  }
}
