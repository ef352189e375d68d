internal import Comparison
internal import Errors
internal import Inspection
internal import JSON
internal import SEVSNP
internal import SVSM
internal import Wire

/// A comparison as JSON, schema `svsm-migration/diff/1`.
enum ComparisonJSON {
  static let schema = "svsm-migration/diff/1"

  static func render(
    _ found: Comparison, write: @escaping JSONStream.Write
  ) throws(MigrationError) {
    var output = JSONStream(write)
    let head: [JSON.Member] = [
      .init("schema", .string(schema)), .init("equal", .bool(found.isEqual)),
      .init("before", side(found.before)), .init("after", side(found.after)),
    ]
    for member in head { try output.append(member) }
    try append("differences", found.differences, to: &output, difference)
    try append("pageStates", found.states, to: &output, state)
    try append("pages", found.pages, to: &output, pages)
    let tail: [JSON.Member] = [
      .init("pageCounts", .array(found.pageCounts.map(count))),
      .init("comparedPages", JSON(found.comparedPages)),
      .init("uncompared", .array(found.uncompared.map(uncompared))),
      .init("ignored", JSON(found.ignored)),
      .init("exitStatus", JSON(found.isEqual ? 0 : 1)),
    ]
    for member in tail { try output.append(member) }
    try output.end()
  }

  private static func append<Element>(
    _ key: String, _ list: BoundedList<Element>, to output: inout JSONStream,
    _ json: (Element) -> JSON
  ) throws(MigrationError) {
    try output.append(key, of: list.elements, json)
    try output.append(.init("\(key)Omitted", JSON(list.omitted)))
  }

  /// All differences in one array, without the places of pages.
  static func differences(_ found: Comparison) -> JSON {
    .array(
      found.differences.elements.map(difference) + found.states.elements.map(state)
        + found.pageCounts.map(count))
  }

  private static func side(_ side: Side) -> JSON {
    var members: [JSON.Member] = [
      .init("name", .string(side.name)), .init("form", .string(side.form.rawValue)),
      .init("machine", .string(side.machine)), .init("memory", JSON(side.memorySize)),
      .init("open", .bool(side.isOpen)),
    ]
    if let size = side.size { members.append(.init("size", JSON(size))) }
    return .object(members)
  }

  static func difference(_ difference: Difference) -> JSON {
    var members: [JSON.Member] = [
      .init("area", .string(difference.area.rawValue)), .init("name", .string(difference.name)),
    ]
    if let field = difference.field { members.append(.init("field", .string(field))) }
    switch difference.change {
    case .added: members.append(.init("change", "added"))
    case .removed: members.append(.init("change", "removed"))
    case .changed(let before, let after):
      members += [.init("change", "changed"), .init("before", before), .init("after", after)]
    case .elements(let count, let first, let before, let after):
      members += [
        .init("change", "elements"), .init("before", before), .init("after", after),
        .init("elements", JSON(count)), .init("first", JSON(first)),
      ]
    case .bytes(let count, let first, let before, let after, let sizes):
      members += [
        .init("change", "bytes"), .init("before", .string(before)), .init("after", .string(after)),
        .init("bytes", JSON(count)), .init("first", JSON(first)),
        .init("beforeSize", JSON(sizes.before)), .init("afterSize", JSON(sizes.after)),
      ]
    }
    return .object(members + cause(difference.cause))
  }

  private static func cause(_ cause: Cause?) -> [JSON.Member] {
    cause.map { [.init("cause", .string($0.rawValue))] } ?? []
  }

  private static func state(_ difference: StateDifference) -> JSON {
    [
      "gpa": .hex(difference.gpa), "pages": JSON(difference.pages),
      "before": difference.before.map(state) ?? .null,
      "after": difference.after.map(state) ?? .null,
    ]
  }

  private static func state(_ facts: PageStateFacts) -> JSON {
    [
      "state": .string(facts.state.text), "rmpSize": .string(facts.size.text),
      "permissions": permissions(facts.permissions),
    ]
  }

  private static func permissions(_ permissions: VMPLPermissions) -> JSON {
    .string(Hex.number(UInt64(permissions.rawValue), digits: 8))
  }

  private static func pages(_ run: PageDifference) -> JSON {
    .object(
      [
        .init("block", .string(run.block)), .init("offset", .hex(run.offset)),
        .init("gpa", run.gpa.map { .hex($0) } ?? .null), .init("pages", JSON(run.pages)),
      ] + change(run.change) + cause(run.cause))
  }

  private static func change(_ change: PageDifference.Change) -> [JSON.Member] {
    var members: [JSON.Member] = [.init("change", .string(change.word))]
    if case .record(let before, let after) = change {
      members += [.init("before", record(before)), .init("after", record(after))]
    }
    return members
  }

  private static func record(_ facts: PageRecordFacts) -> JSON {
    [
      "epoch": JSON(facts.epoch), "operation": .string(facts.operation.text),
      "rmpSize": .string(facts.size.text), "permissions": permissions(facts.permissions),
    ]
  }

  private static func count(_ count: Comparison.PageCount) -> JSON {
    .object(
      [.init("block", .string(count.kind.block)), .init("pages", JSON(count.pages))]
        + change(count.kind.change) + cause(count.kind.cause))
  }

  private static func uncompared(_ part: Uncompared) -> JSON {
    .object(
      [.init("area", .string(part.area.rawValue)), .init("reason", .string(part.reason.word))]
        + (part.pages.map { [.init("pages", JSON($0))] } ?? []))
  }
}

extension PageDifference.Change {
  /// Stable name in JSON.
  var word: String {
    switch self {
    case .content: "content"
    case .filled: "filled"
    case .cleared: "cleared"
    case .ciphertext: "ciphertext"
    case .recordAdded: "record-added"
    case .recordRemoved: "record-removed"
    case .record: "record"
    }
  }
}

extension Uncompared.Reason {
  /// Stable name in JSON.
  var word: String {
    switch self {
    case .needsInstance: "needs-instance"
    case .form: "form"
    case .tooLarge: "too-large"
    case .unknown: "unknown"
    }
  }
}
