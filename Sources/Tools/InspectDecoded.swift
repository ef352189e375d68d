internal import Errors
internal import JSON
internal import Migration
internal import SEVSNP
internal import SVSM
internal import Wire

/// What the destination's keys opened, field by field.
enum DecodedState {
  /// One fact of a secrets page that may travel. Its keys and counters are never shown.
  struct Fact {
    var name: String
    var text: String
    var json: JSON
  }

  /// - Parameter page: the rebuilt page.
  static func facts(_ page: [UInt8]) throws(MigrationError) -> [Fact] {
    let facts = try SecretsPage(page).facts
    func address(_ name: String, _ value: UInt64) -> Fact {
      Fact(name: name, text: Spelled.hex(value), json: .hex(value))
    }
    return [
      address("svsm_base", facts.svsmBase), address("svsm_size", facts.svsmSize),
      address("svsm_calling_area", facts.svsmCallingArea),
      address("ap_jump_table", facts.apJumpTable),
      Fact(
        name: "svsm_max_version", text: "\(facts.svsmMaxVersion)", json: JSON(facts.svsmMaxVersion)
      ),
      Fact(name: "tsc_factor", text: "\(facts.tscFactor)", json: JSON(facts.tscFactor)),
      Fact(name: "guest_vmpl", text: "\(facts.guestVMPL)", json: JSON(facts.guestVMPL)),
      Fact(
        name: "guest_usage", text: Hex.encode(facts.guestUsage), json: .hex(bytes: facts.guestUsage)
      ),
    ]
  }

  /// Shows every register of a vCPU that is more than zero, numbers first.
  static func registers(of vcpu: VCPUState, _ out: inout RenderedText) throws(MigrationError) {
    let page = try VMSA(vcpu.vmsa)
    out.field(
      "SEV features",
      Spelled.hex(page.features.rawValue) + ": "
        + Spelled.list(page.features.setBits), indent: 2)
    var rows: [[String]] = []
    for register in VMSA.SegmentRegister.allCases {
      let segment = page[register]
      rows.append([
        register.rawValue, "selector \(Spelled.hex(UInt64(segment.selector), bytes: 2))",
        "attributes \(Spelled.hex(UInt64(segment.attributes), bytes: 2))",
        "limit \(Spelled.hex(UInt64(segment.limit), bytes: 4))",
        "base \(Spelled.hex(segment.base, bytes: 8))",
      ])
    }
    out.table(rows)
    let values = page.values()
    let numbers = values.filter { $0.number != nil }.map { value in
      "\(value.name.padded(to: 18))\(Spelled.hex(value.number ?? 0, bytes: value.size))"
        .padded(to: 40)
    }
    for start in stride(from: 0, to: numbers.count, by: 2) {
      out.line("  " + numbers[start..<min(start + 2, numbers.count)].joined())
    }
    for value in values where value.number == nil && !isSegment(value) {
      if value.bytes.allSatisfy({ $0 == 0 }) {
        out.field(value.name, "\(value.size) zero bytes", width: 20, indent: 2)
      } else {
        out.line("  " + value.name)
        for line in HexDump.lines(value.bytes, at: 0) { out.line("    " + line) }
      }
    }
  }

  /// Every field of a vCPU's page but the reserved ones: numbers and bytes as hex text, segments
  /// as objects.
  static func json(of vcpu: VCPUState) throws(MigrationError) -> JSON {
    let page = try VMSA(vcpu.vmsa)
    let registers = page.values().map { value -> JSON.Member in
      if let segment = VMSA.SegmentRegister(rawValue: value.name).map({ page[$0] }) {
        return .init(
          value.name,
          [
            "selector": .hex(segment.selector), "attributes": .hex(segment.attributes),
            "limit": .hex(segment.limit), "base": .hex(segment.base),
          ])
      }
      return .init(value.name, value.number.map { .hex($0) } ?? .hex(bytes: value.bytes))
    }
    return [
      "apicID": JSON(vcpu.apicID), "vmpl": JSON(vcpu.vmpl),
      "sevFeatures": .text(page.features.setBits), "registers": .object(registers),
    ]
  }

  private static func isSegment(_ value: VMSA.Value) -> Bool {
    VMSA.SegmentRegister(rawValue: value.name) != nil
  }
}
