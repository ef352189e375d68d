internal import Errors
internal import Inspection
internal import JSON
internal import Migration
internal import SEVSNP
internal import SVSM
internal import Wire

/// The final state decrypted with the destination's keys, field by field.
enum DecodedState {
  /// One fact of a secrets page that may be shown. The page's keys and counters are never shown.
  struct Fact {
    var name: String
    var text: String
    var json: JSON
  }

  /// - Parameter page: the restored secrets page.
  static func facts(_ page: [UInt8]) throws(MigrationError) -> [Fact] {
    try SecretsPage(page).members.map { member in
      Fact(
        name: member.key, text: member.value.string ?? member.value.description,
        json: member.value)
    }
  }

  /// Shows every register of a vCPU that is not zero, numeric registers first.
  static func registers(of vcpu: VCPUState, _ out: inout RenderedText) throws(MigrationError) {
    let page = try VMSA(vcpu.vmsa)
    out.field(
      "SEV features",
      Hex.number(page.features.rawValue) + ": "
        + Spelled.list(page.features.setBits), indent: 2)
    let values = page.values()
    out.table(
      values.compactMap { value in
        value.segment.map { segment in
          [
            value.name, "selector \(Hex.number(segment.selector.value, digits: 4))",
            "attributes \(Hex.number(segment.attributes.value, digits: 4))",
            "limit \(Hex.number(segment.limit.value, digits: 8))",
            "base \(Hex.number(segment.base.value, digits: 16))",
          ]
        }
      })
    let numbers = values.filter { $0.number != nil }.map { value in
      "\(value.name.padded(to: 18))\(Hex.number(value.number ?? 0, digits: 2 * value.bytes.count))"
        .padded(to: 40)
    }
    for start in stride(from: 0, to: numbers.count, by: 2) {
      out.line("  " + numbers[start..<min(start + 2, numbers.count)].joined())
    }
    for value in values where value.number == nil && value.segment == nil {
      if value.bytes.allSatisfy({ $0 == 0 }) {
        out.field(value.name, "\(value.bytes.count) zero bytes", width: 20, indent: 2)
      } else {
        out.line("  " + value.name)
        for line in HexDump.lines(value.bytes, at: 0) { out.line("    " + line) }
      }
    }
  }

  /// Every field of a VMSA page except the reserved ones.
  static func json(of vcpu: VCPUState) throws(MigrationError) -> JSON {
    let page = try VMSA(vcpu.vmsa)
    return [
      "apicID": JSON(vcpu.apicID), "vmpl": JSON(vcpu.vmpl),
      "sevFeatures": .text(page.features.setBits), "registers": .object(page.members),
    ]
  }
}
