internal import Errors
internal import QEMUStream

/// Holds the sections of a stream against the device types of a dump.
struct SectionCheck {
  /// Device types that a row names.
  static let typeLimit = 16
  /// Findings that all rows together keep in full; after that each keeps its first.
  private static let findingLimit = 4096

  private let target: Target
  private let dumped: DumpedSections
  private let described: DescribedSections?
  private var budget = ComparisonBudget()
  private var findingsLeft = findingLimit

  init(_ target: Target, _ stream: ArrivingStream) {
    self.target = target
    dumped = DumpedSections(target.dump)
    described = stream.description.map(DescribedSections.init)
  }

  mutating func rows(of stream: ArrivingStream) -> [TargetReport.Row] {
    var rows: [TargetReport.Row] = []
    for header in stream.sections { rows.append(row(header)) }
    if let header = stream.unread {
      var row = Self.row(header)
      row.outcome = .notCheckable("its end, and so what follows it, is unknown")
      rows.append(row)
    }
    return rows
  }

  private static func row(_ header: SectionHeader) -> TargetReport.Row {
    TargetReport.Row(
      subject: .section, name: header.name.description, instance: header.instance,
      offset: header.offset, outcome: .fits)
  }

  private mutating func row(_ header: SectionHeader) -> TargetReport.Row {
    var row = Self.row(header)
    let body = described?[header.key]?.body
    let types = self.types(of: header, body)
    guard !types.isEmpty || budget.isSpent else {
      row.outcome = absent(header, body)
      return row
    }
    var best: (type: String, findings: StateFindings)?
    var fitting = 0
    var saved: StateLayout?
    // Any number of sections may have one description, of which each makes its layout.
    if let body, body.name != nil, budget.take(body) { saved = StateLayout(body) }
    for index in types {
      let type = dumped.type(index)
      guard let findings = compare(header, saved, type) else { break }
      if findings.count == 0 {
        fitting += 1
        if fitting <= Self.typeLimit { row.types.append(printable(type.name)) }
      }
      if best.map({ findings.rank < $0.findings.rank }) ?? true {
        best = (printable(type.name), findings)
      }
    }
    guard let best, !budget.isSpent else {
      row.outcome = .notCheckable("stream and dump are too large to compare")
      return row
    }
    if row.types.isEmpty { row.types = [best.type] }
    row.outcome = outcome(of: best.findings)
    (row.notes, row.opaque) = (best.findings.notes, best.findings.opaque)
    if fitting > Self.typeLimit {
      row.notes.append("\(fitting - Self.typeLimit) more device types fit")
    }
    if row.outcome == .fits, body?.name == nil {
      row.outcome = .notCheckable("version \(header.version) is read; no field is described")
    }
    return row
  }

  private mutating func outcome(of findings: StateFindings) -> TargetReport.Outcome {
    let kept = findings.kept.prefix(max(findingsLeft, 1))
    findingsLeft -= kept.count
    return kept.isEmpty
      ? .fits
      : .refused(Array(kept), more: findings.more + UInt64(findings.kept.count - kept.count))
  }

  /// - Returns: nil when there is no room left for it.
  private mutating func compare(
    _ header: SectionHeader, _ saved: StateLayout?, _ type: MachineDump.DeviceType
  ) -> StateFindings? {
    guard budget.take(1) else { return nil }
    var comparison = StateComparison(
      .stream, in: .section(header.name), at: header.offset, budget)
    if comparison.requireVersion(header.version, from: type.minimumVersion, to: type.version),
      let saved, let state = type.state
    {
      comparison.compare(saved, state, version: header.version)
    }
    budget = comparison.budget
    return comparison.findings
  }

  /// The types whose description has the section's name. It ends with that, after the path of the device.
  private mutating func types(of header: SectionHeader, _ body: VMDescription.Body?) -> [Int] {
    if let name = body?.name { return budget.take(name) ? dumped[Array(name.utf8)] : [] }
    let names = Self.names(of: header)
    guard budget.take(names.count) else { return [] }
    for name in names where !dumped[name].isEmpty { return dumped[name] }
    return []
  }

  /// What a section may be called by its description: all of its name, or what comes after a slash.
  private static func names(of header: SectionHeader) -> [[UInt8]] {
    let bytes = header.name.bytes
    let slashes = bytes.indices.filter { bytes[$0] == UInt8(ascii: "/") }
    return [bytes] + slashes.map { Array(bytes[($0 + 1)...]) }
  }

  /// What it means that no device type has the section's name.
  private func absent(
    _ header: SectionHeader, _ body: VMDescription.Body?
  ) -> TargetReport.Outcome {
    let names = body?.name.map { [Array($0.utf8)] } ?? Self.names(of: header)
    if names.contains(where: HandRegistered.contains) {
      return .notCheckable("QEMU registers it in code: no dump lists it")
    }
    if body != nil, body?.name == nil {
      return .notCheckable("code writes and reads it: no dump lists it")
    }
    if let devices = target.devices, names.contains(where: devices.contains) {
      return .notCheckable(
        "the destination has a device of the name; the dump lists no state of it")
    }
    return .init(
      MigrationError(
        .targetSection, "no device type of the destination has such a section",
        in: .section(header.name), at: header.offset,
        got: body?.name.map { "description \(printable($0))" } ?? "no description"))
  }
}
