internal import Errors
internal import Guest
internal import Inspection
internal import JSON
internal import SVSM
internal import Wire

/// Most ranges of pages that are shown as sent again most often.
private let hottestLimit = 16

/// The epochs of a stream as a table, and the pages that were sent most often.
extension InspectionText {
  mutating func rounds(_ table: EpochTable, _ write: Write) throws(MigrationError) {
    title("What came in each epoch")
    let hasKeys = table.epochs.elements.first?.privateZero != nil
    let heads =
      ["epoch", "bytes", "share", "private new", "again", "withdrawn"]
      + (hasKeys ? ["zero"] : []) + ["shared", "shared zero", "sent again", ""]
    let epochs = table.epochs
    try self.table(heads, of: epochs.elements, omitted: epochs.omitted, write) { [found] epoch in
      let records = epoch.records
      let share = found.size == 0 ? 0 : Double(epoch.bytes) / Double(found.size)
      let tenths = Int((share * 1000).rounded())
      return [
        "\(epoch.epoch)", "\(epoch.bytes)", "\(tenths / 10).\(tenths % 10)%",
        "\(records.migrated)", "\(records.migratedAgain)", "\(records.cancelled)",
      ] + (epoch.privateZero.map { ["\($0)"] } ?? []) + [
        "\(epoch.sharedContent)", "\(epoch.sharedZero)", "\(epoch.sentAgain)",
        epoch.isClosed ? "" : "not closed",
      ]
    }
    let hottest = table.hottest(hottestLimit)
    guard !hottest.isEmpty else { return }
    title("Pages sent again most often")
    out.table(
      hottest.map { range in
        [
          found.map.gpa(block: range.block, offset: range.offset)
            .map { Spelled.range($0, pages: range.pages) } ?? "not mapped",
          "\(blockName(range.block)) from \(Hex.number(range.offset))",
          Spelled.count(range.pages, "page"), Spelled.count(range.times, "time"),
          range.pages == 1 ? "" : "at most \(range.most) for one page",
        ]
      })
    if table.uncounted > 0 {
      out.line("  not among them: \(Spelled.count(table.uncounted, "page")) sent again elsewhere")
    }
  }
}

extension InspectedStream {
  /// Writes the epochs as members of an inspection; none unless they were requested.
  func writeRounds(to output: inout JSONStream) throws(MigrationError) {
    guard let rounds else { return }
    try output.append("rounds", of: rounds.epochs.elements, \.json)
    try output.append(.init("roundsOmitted", JSON(rounds.epochs.omitted)))
    try output.append(.init("hottest", .array(rounds.hottest(hottestLimit).map(json))))
    try output.append(.init("hottestUncounted", JSON(rounds.uncounted)))
  }

  private func json(_ range: HotRange) -> JSON {
    var members: [JSON.Member] = [
      .init(
        "block",
        .string(blocks.indices.contains(range.block) ? blocks[range.block].name : "")),
      .init("offset", .hex(range.offset)),
    ]
    if let gpa = map.gpa(block: range.block, offset: range.offset) {
      members.append(.init("gpa", .hex(gpa)))
    }
    return .object(
      members + [
        .init("pages", JSON(range.pages)), .init("times", JSON(range.times)),
        .init("most", JSON(range.most)),
      ])
  }
}

extension EpochFacts {
  fileprivate var json: JSON {
    var members: [JSON.Member] = [
      .init("epoch", JSON(epoch)), .init("closed", .bool(isClosed)), .init("bytes", JSON(bytes)),
      .init("migrated", JSON(records.migrated)),
      .init("migratedAgain", JSON(records.migratedAgain)),
      .init("cancelled", JSON(records.cancelled)),
    ]
    if let privateZero { members.append(.init("privateZero", JSON(privateZero))) }
    return .object(
      members + [
        .init("sharedContent", JSON(sharedContent)), .init("sharedZero", JSON(sharedZero)),
        .init("sentAgain", JSON(sentAgain)),
      ])
  }
}
