internal import Errors
package import QEMUStream
internal import Wire

/// What is known of a destination.
package struct Target: Sendable {
  package var dump: MachineDump
  /// Its machine types, where a list of them is given.
  package var machines: TargetList?
  /// The device types that its user can make, where a list of them is given.
  package var devices: TargetList?
  /// Bytes of RAM blocks, by name.
  package var ramSizes: [(name: SectionName, size: UInt64)]

  package init(
    _ dump: MachineDump, machines: TargetList? = nil, devices: TargetList? = nil,
    ramSizes: [(name: SectionName, size: UInt64)] = []
  ) {
    (self.dump, self.machines, self.devices) = (dump, machines, devices)
    self.ramSizes = ramSizes
  }

  /// Whether it will load a stream, as far as the dump says.
  package func report(on stream: ArrivingStream) -> TargetReport {
    var sections = SectionCheck(self, stream)
    return TargetReport(
      machine: printable(dump.machine), sourceMachine: stream.configuration?.machineText,
      rows: [machineRow(stream)] + configurationRows(stream) + ramRows(stream)
        + sections.rows(of: stream))
  }

  // MARK: The configuration

  private func machineRow(_ stream: ArrivingStream) -> TargetReport.Row {
    guard let configuration = stream.configuration else {
      return .init(
        subject: .machine, name: printable(dump.machine),
        outcome: .notCheckable("the stream names no machine type"))
    }
    var row = TargetReport.Row(
      subject: .machine, name: configuration.machineText, outcome: .fits)
    // QEMU compares as many bytes as came.
    guard dump.machine.utf8.starts(with: configuration.machine) else {
      row.outcome = .init(
        MigrationError(
          .targetMachine, "the machine type differs from the destination's",
          in: .section("configuration"), at: nil, expected: printable(dump.machine),
          got: configuration.machineText + hint(configuration.machine)))
      return row
    }
    if configuration.machine.count != dump.machine.utf8.count {
      row.notes = ["the destination is \(printable(dump.machine)), whose name begins with it"]
    }
    return row
  }

  private func hint(_ machine: [UInt8]) -> String {
    guard let machines else { return "" }
    return machines.contains(machine)
      ? ", which the destination has: start it with this machine type"
      : ", which the destination does not have"
  }

  private func configurationRows(_ stream: ArrivingStream) -> [TargetReport.Row] {
    guard let configuration = stream.configuration else { return [] }
    let row = { (name: String, reason: Wording) in
      TargetReport.Row(subject: .configuration, name: name, outcome: .notCheckable(reason))
    }
    var rows = (configuration.capabilities ?? []).map {
      row("capability \($0)", "it must be on at the destination, and a dump does not show that")
    }
    if let bits = configuration.targetPageBits {
      rows.append(row("target-page-bits \(bits)", "the destination's are not in the dump"))
    }
    if configuration.uuid != nil {
      rows.append(row("uuid", "the destination must have the same, or none"))
    }
    return rows
  }

  // MARK: RAM

  private func ramRows(_ stream: ArrivingStream) -> [TargetReport.Row] {
    let isMapped = stream.configuration?.capabilities?.contains("mapped-ram") ?? false
    var rows = stream.blocks.map { block in
      var row = TargetReport.Row(
        subject: .ramBlock, name: block.name.description, outcome: .fits)
      guard let size = ramSizes.last(where: { $0.name == block.name })?.size else {
        row.outcome = .notCheckable("the destination's size is not given: \(.targetRAM)")
        return row
      }
      if size == block.length { return row }
      if isMapped {
        row.outcome = .notCheckable("mapped-ram does not compare sizes")
      } else if block.name.bytes.starts(with: "/rom@".utf8) {
        row.outcome = .notCheckable("it is resized on load, up to a size that a dump does not show")
      } else {
        row.outcome = .init(
          MigrationError(
            .targetRAM, "RAM block \(block.name) has another size at the destination", in: .ram,
            expected: Hex.number(size), got: Hex.number(block.length)))
      }
      return row
    }
    for given in ramSizes where !stream.blocks.contains(where: { $0.name == given.name }) {
      rows.append(
        .init(
          subject: .ramBlock, name: given.name.description,
          outcome: .notCheckable("the stream has no such block")))
    }
    return rows
  }
}
