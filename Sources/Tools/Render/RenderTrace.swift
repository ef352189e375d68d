internal import Errors
internal import JSON
internal import SEVSNP
internal import SVSM
internal import Wire

extension TraceStep {
  /// The step as one line of a trace, schema `svsm-migration/trace/1` (`Formats/replay.md`).
  var json: JSON {
    var members: [JSON.Member] = [
      .init("step", JSON(number)), .init("call", .string(call.rawValue)),
      .init("before", .string(before)), .init("after", .string(after)),
    ]
    if let refusal { members.append(.init("refused", .string(refusal.rawValue))) }
    members.append(.init("epoch", JSON(epoch)))
    if let section { members.append(.init("section", .string(section.name))) }
    if let offset { members.append(.init("offset", JSON(offset))) }
    members += pages.map(Self.members) ?? []
    if let final {
      members += [
        .init("kind", .string(final.kind.row.name)), .init("index", JSON(final.index)),
        .init("sequence", JSON(final.sequence)),
      ]
    }
    if let isLast { members.append(.init("last", .bool(isLast))) }
    if !changes.isEmpty {
      members.append(.init("pageStates", .array(changes.map(Self.json))))
    }
    if changesOmitted > 0 { members.append(.init("pageStatesOmitted", JSON(changesOmitted))) }
    members.append(.init("counts", Self.json(counts)))
    return .object(members)
  }

  private static func members(of pages: Pages) -> [JSON.Member] {
    let place: [JSON.Member] = [
      .init("gpa", .hex(pages.gpa)), .init("pages", JSON(pages.count)),
    ]
    guard let record = pages.record else { return place }
    return place + [
      .init("operation", .string(record.operation.text)),
      .init("sequence", JSON(record.sequence)), .init("rmpSize", .string(record.size.text)),
      .init("permissions", .string(Hex.number(record.permissions.rawValue, digits: 8))),
    ]
  }

  private static func json(_ change: Change) -> JSON {
    [
      "gpa": .hex(change.pages.lowerBound),
      "pages": JSON((change.pages.upperBound - change.pages.lowerBound) / Page.size64),
      "before": .string(change.before.text), "after": .string(change.after.text),
    ]
  }

  private static func json(_ counts: Counts) -> JSON {
    [
      "records": JSON(counts.records), "present": JSON(counts.present),
      "migrated": JSON(counts.epoch.migrated),
      "migratedAgain": JSON(counts.epoch.migratedAgain),
      "cancelled": JSON(counts.epoch.cancelled), "final": JSON(counts.final),
    ]
  }
}

extension TraceStep.Change.State {
  var text: String {
    switch self {
    case .known(let state): state.text
    case .present: "present"
    case .absent: "absent"
    }
  }
}
