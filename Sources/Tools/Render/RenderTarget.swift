internal import Compatibility
internal import Errors
internal import JSON

extension TargetReport {
  private var counts: (fitting: Int, refused: Int, notCheckable: Int) {
    var counts = (fitting: 0, refused: 0, notCheckable: 0)
    for row in rows {
      switch row.outcome {
      case .fits: counts.fitting += 1
      case .refused: counts.refused += 1
      case .notCheckable: counts.notCheckable += 1
      }
    }
    return counts
  }

  /// The conclusion, which claims no more than the dump shows.
  var verdict: String {
    let counts = counts
    var sum = "\(counts.fitting) of \(rows.count) fit"
    if counts.refused > 0 { sum += ", \(counts.refused) refused" }
    if counts.notCheckable > 0 { sum += ", \(counts.notCheckable) not checkable" }
    guard let refusal else { return "loads as far as the dump shows: \(sum)" }
    return "refused [\(refusal.code.rawValue)]: \(sum)"
  }

  /// One line for each row, its findings below it, then the verdict.
  func text(_ style: Style) -> String {
    var text = ""
    for row in rows {
      let name = RenderedText.printable(row.title)
      switch row.outcome {
      case .fits:
        text += "\(style.good("fits         "))  \(name)\(row.fittingTypes)\n"
      case .refused(let findings, let more):
        let count = UInt64(findings.count) + more
        text += "\(style.bad("refused      "))  \(name)  \(Spelled.count(count, "finding"))\n"
        for finding in findings { text += finding.lines(breaking: finding.code.clause()) }
        if more > 0 { text += "    and \(more) more\n" }
      case .notCheckable(let reason):
        text += "\(style.doubtful("not checkable"))  \(name)\n"
        text += RenderedText.wrapped(reason.spelled, indent: 15)
      }
      for note in row.notes {
        text += RenderedText.wrapped(
          "note: " + RenderedText.printable(note), indent: 15, hanging: 17)
      }
    }
    return text + style.strong(verdict) + "\n"
  }

  /// The report as JSON, schema `svsm-migration/target/1` (`Formats/json.md`).
  /// - Parameters:
  ///   - stream: path of the stream that was compared with the dump; nil for a source's dump.
  ///   - source: path of the source's dump that was compared; nil for a stream.
  ///   - target: path of the destination's dump.
  func json(of stream: String?, or source: String?, against target: String) -> JSON {
    let counts = counts
    var members: [JSON.Member] = [.init("schema", "svsm-migration/target/1")]
    if let stream { members.append(.init("stream", .string(stream))) }
    if let source { members.append(.init("source", .string(source))) }
    members += [
      .init("target", .string(target)),
      .init("sourceMachine", sourceMachine.map { .string($0) } ?? .null),
      .init("targetMachine", .string(machine)), .init("verdict", .string(verdict)),
      .init("fitting", JSON(counts.fitting)), .init("refused", JSON(counts.refused)),
      .init("notCheckable", JSON(counts.notCheckable)),
      .init("rows", .array(rows.map(\.json))),
      .init("refusal", refusal.map { .object($0.jsonMembers) } ?? .null),
      .init("exitStatus", JSON(refusal?.code.exitStatus ?? 0)),
    ]
    return .object(members)
  }
}

extension TargetReport.Row {
  fileprivate var title: String {
    switch subject {
    case .machine: "machine type \(name)"
    case .configuration: "configuration: \(name)"
    case .ramBlock: "RAM block \(name)"
    case .section: "section \(name)\(instance == 0 ? "" : " #\(instance ?? 0)")"
    case .deviceType: "device type \(name)"
    }
  }

  /// The types whose names add to the section's name.
  fileprivate var fittingTypes: String {
    guard subject == .section, !types.isEmpty else { return "" }
    let shown = types.prefix(3).joined(separator: ", ")
    return "  " + RenderedText.printable("\(shown)\(types.count > 3 ? ", …" : "")")
  }

  fileprivate var json: JSON {
    var members: [JSON.Member] = [
      .init("subject", .string(subject.rawValue)), .init("name", .string(name)),
    ]
    if let instance { members.append(.init("instance", JSON(instance))) }
    if let offset { members.append(.init("offset", JSON(offset))) }
    members.append(.init("types", .text(types)))
    switch outcome {
    case .fits: members.append(.init("outcome", "fits"))
    case .refused(let findings, let more):
      members.append(.init("outcome", "refused"))
      members.append(
        .init("findings", .array(findings.map { $0.json(breaking: $0.code.clause()) })))
      members.append(.init("moreFindings", JSON(more)))
    case .notCheckable(let reason):
      members.append(.init("outcome", "not-checkable"))
      members.append(.init("reason", .string(reason.spelled)))
    }
    members.append(.init("notes", .text(notes)))
    members.append(.init("opaqueFields", JSON(opaque)))
    return .object(members)
  }
}
