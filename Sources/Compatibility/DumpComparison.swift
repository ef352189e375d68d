internal import Errors

extension MachineDump {
  /// Whether this QEMU will load what `source` writes, device type by device type, as QEMU's
  /// `scripts/vmstate-static-checker.py` compares two dumps.
  ///
  /// Names of fields, and of structs within a state, are not on the wire: where the rest is alike another
  /// name is no fault here, for which the script has a list of exceptions.
  package func report(on source: MachineDump) -> TargetReport {
    var rows: [TargetReport.Row] = []
    if source.machine != machine {
      rows.append(
        .init(
          subject: .machine, name: printable(source.machine),
          outcome: .notCheckable(
            "the destination's dump is of \(printable(machine)), which has no device state")))
    } else {
      rows.append(.init(subject: .machine, name: printable(machine), outcome: .fits))
    }
    var known: [[UInt8]: Int] = [:]
    for (index, type) in types.enumerated() { known[Array(type.name.utf8)] = index }
    var budget = ComparisonBudget()
    for type in source.types {
      let names = [type.name] + (Self.otherNames[type.name].map { [$0] } ?? [])
      let place = names.lazy.compactMap { known[Array($0.utf8)] }.first
      rows.append(Self.row(type, place.map { types[$0] }, &budget))
    }
    return TargetReport(
      machine: printable(machine), sourceMachine: printable(source.machine), rows: rows)
  }

  /// Device types that have changed their names.
  private static let otherNames = [
    "ICH9 LPC": "ICH9-LPC", "ICH9-LPC": "ICH9 LPC", "e1000-82540em": "e1000",
    "e1000": "e1000-82540em",
  ]

  private static func row(
    _ saved: DeviceType, _ target: DeviceType?, _ budget: inout ComparisonBudget
  ) -> TargetReport.Row {
    let place = Place.section(printable(saved.name))
    var row = TargetReport.Row(
      subject: .deviceType, name: printable(saved.name), outcome: .fits)
    guard let target else {
      row.outcome = .init(
        MigrationError(.targetSection, "the destination has no such device type", in: place))
      return row
    }
    row.types = [printable(target.name)]
    guard budget.take(1) else {
      row.outcome = .notCheckable("the two dumps are too large to compare")
      return row
    }
    var comparison = StateComparison(.dump, in: place, at: nil, budget)
    comparison.compareTypes(saved, target)
    budget = comparison.budget
    let findings = comparison.findings
    row.outcome =
      budget.isSpent
      ? .notCheckable("the two dumps are too large to compare") : .init(findings)
    (row.notes, row.opaque) = (findings.notes, findings.opaque)
    return row
  }
}

extension StateComparison {
  fileprivate mutating func compareTypes(
    _ saved: MachineDump.DeviceType, _ target: MachineDump.DeviceType
  ) {
    _ = requireVersion(saved.version, from: target.minimumVersion, to: target.version)
    guard let state = saved.state else { return }
    guard let known = target.state else {
      return find(.targetField, "the destination's type has no description")
    }
    // Of the same versions nothing new would be said.
    if state.version != saved.version || known.version != target.version
      || known.minimumVersion != target.minimumVersion
    {
      _ = requireVersion(state.version, known)
    }
    guard state.name.utf8.elementsEqual(known.name.utf8) else {
      return find(
        .targetSection, "its sections have another name at the destination",
        expected: printable(known.name), got: printable(state.name))
    }
    compare(state, known, version: max(state.version, saved.version))
  }
}
