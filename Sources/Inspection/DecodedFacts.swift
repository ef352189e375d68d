package import JSON
package import SEVSNP
internal import Wire

// Decrypted state, field by field, as it is printed and compared.

extension VMSA {
  /// Every field of the page except the reserved ones.
  package var members: [JSON.Member] { values().map(\.member) }
}

extension VMSA.Value {
  /// The field by its name: numbers and bytes as hex text, segments as objects.
  package var member: JSON.Member {
    guard let segment else { return .init(name, number.map { .hex($0) } ?? .hex(bytes: bytes)) }
    return .init(
      name,
      [
        "selector": .hex(segment.selector.value), "attributes": .hex(segment.attributes.value),
        "limit": .hex(segment.limit.value), "base": .hex(segment.base.value),
      ])
  }
}

extension SecretsPage {
  /// The facts that may be shown. The page's keys and counters are never shown.
  package var members: [JSON.Member] {
    let facts = facts
    return [
      .init("svsm_base", .hex(facts.svsmBase)), .init("svsm_size", .hex(facts.svsmSize)),
      .init("svsm_calling_area", .hex(facts.svsmCallingArea)),
      .init("ap_jump_table", .hex(facts.apJumpTable)),
      .init("svsm_max_version", JSON(facts.svsmMaxVersion)),
      .init("tsc_factor", JSON(facts.tscFactor)), .init("guest_vmpl", JSON(facts.guestVMPL)),
      .init("guest_usage", .hex(bytes: facts.guestUsage)),
    ]
  }
}
