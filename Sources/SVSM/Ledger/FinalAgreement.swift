internal import Errors
internal import SEVSNP
internal import Wire

/// Checks of facts that several pieces of final state contain and that must agree
/// (`Formats/stream.md`, section 14.1). A destination makes them at the commit, and a source before
/// any final state leaves.
extension TrustedGuestState {
  /// - Parameters:
  ///   - secrets: the record of the secrets page; nil when there is none.
  ///   - offset: where the commit begins in the stream.
  ///   - refuse: called with each broken rule.
  /// - Throws: `SECRETS-PAGE`, `VCPU-VMPL`.
  func requireAgreement(
    with secrets: (gpa: UInt64, facts: SecretsPageFacts)?, at offset: UInt64? = nil,
    refuse: MigrationError.Refusal = MigrationError.refuse
  ) throws(MigrationError) {
    try requireOneSecretsPage(secrets?.gpa, at: offset, refuse)
    try requireOneLevel(secrets?.facts.guestVMPL, at: offset, refuse: refuse)
    if let secrets { try requireApart(secrets.facts, at: offset, refuse) }
  }

  /// The record and the page-state map name the same secrets page, or neither names one.
  private func requireOneSecretsPage(
    _ gpa: UInt64?, at offset: UInt64?, _ refuse: MigrationError.Refusal
  ) throws(MigrationError) {
    let pages = pageStates.pages(in: .secrets)
    guard gpa == secretsPage, pages <= 1 else {
      func place(_ gpa: UInt64?) -> String { gpa.map { Self.place($0) } ?? "none" }
      return try refuse(
        MigrationError(
          .secretsPage, "secrets page and page-state map disagree", in: .pageStates,
          at: offset,
          expected: "\(place(secretsPage)), as in the map\(pages > 1 ? ", and one alone" : "")",
          got: place(gpa)))
    }
  }

  /// All vCPUs of the guest run at one VMPL, and it is the VMPL for which keys of the secrets page
  /// are wiped.
  /// - Parameters:
  ///   - level: VMPL that the secrets page names; nil without one.
  ///   - offset: where the commit begins in the stream.
  ///   - refuse: called with the broken rule.
  /// - Throws: `VCPU-VMPL`.
  func requireOneLevel(
    _ level: UInt8? = nil, at offset: UInt64? = nil,
    refuse: MigrationError.Refusal = MigrationError.refuse
  ) throws(MigrationError) {
    guard let expected = level ?? vcpus.first?.vmpl,
      let other = vcpus.first(where: { $0.vmpl != expected })
    else { return }
    try refuse(
      MigrationError(
        .vcpuVMPL,
        level == nil
          ? "vCPUs of one guest run at two levels"
          : "a vCPU's level is not the one that the secrets page names", at: offset,
        expected: "VMPL \(expected)", got: "VMPL \(other.vmpl) with APIC id \(other.apicID)"))
  }

  /// The SVSM's own memory contains no page of the guest, and the calling area, which the guest
  /// writes to, is outside of the SVSM's memory.
  private func requireApart(
    _ facts: SecretsPageFacts, at offset: UInt64?, _ refuse: MigrationError.Refusal
  ) throws(MigrationError) {
    func refusal(_ what: String, _ expected: String, _ got: UInt64) -> MigrationError {
      MigrationError(
        .secretsPage, what, at: offset, expected: expected, got: Self.place(got))
    }
    let (base, size) = (facts.svsmBase, facts.svsmSize)
    let limit = PageStateMap.addressLimit
    guard size == 0 || size <= limit && base <= limit - size else {
      return try refuse(
        refusal("memory of the SVSM is beyond the address limit", "an end below 2^52", base))
    }
    if let page = pageStates.firstPage(in: base..<base + size) {
      try refuse(
        refusal("memory of the SVSM holds a page of the guest", "no page of the guest", page))
    }
    let area = facts.svsmCallingArea
    if area % Page.size64 != 0 || (base..<base + size).contains(area) {
      try refuse(
        refusal("calling area is not a page of the guest", "a page outside of the SVSM", area))
    }
  }

  private static func place(_ gpa: UInt64) -> String { "gpa \(Hex.number(gpa))" }
}
