internal import Errors
internal import SEVSNP
internal import Wire

/// Final state while it is received, piece by piece. Each piece is checked as an SVSM must check it
/// before use.
///
/// The caller has opened each piece, so the pieces are authentic.
struct ImportedState {
  /// SEV_FEATURES that every vCPU must have.
  let features: SEVFeatures
  private(set) var guest = TrustedGuestState(pageStates: PageStateMap(), vcpus: [], services: [])
  private(set) var secrets: (gpa: UInt64, facts: SecretsPageFacts)?

  init(features: SEVFeatures) { self.features = features }

  /// Adds one piece.
  /// - Throws: what its decoder refuses; `VCPU-VMPL`, `VCPU-EFER`, `VCPU-FEATURES`,
  ///   `VCPU-REPEATED`, `SERVICE-UNKNOWN`, `SERVICE-SYNTAX`, `SECRETS-PAGE`, `MAP-SYNTAX`;
  ///   `GUEST-SHAPE` for more vCPUs or services than a guest may have, and for more of all together. A
  ///   refused piece is not added, except for one that is too much together with the others, and the runs
  ///   of page states before the refused run.
  mutating func take(
    _ kind: FinalRecord.Kind, _ plaintext: Span<UInt8>
  ) throws(MigrationError) {
    try kind.requireLength(plaintext.count)
    switch kind {
    case .vcpu:
      guard guest.vcpus.count < VCPUState.maximumCount else {
        throw MigrationError(
          .guestShape, "guest has too many vCPUs", expected: "at most \(VCPUState.maximumCount)",
          got: "one more")
      }
      let vcpu = try VCPUPlaintext.decode(plaintext)
      try VMSA(vcpu.vmsa).validateForImport(
        expectedVMPL: vcpu.vmpl, expectedFeatures: features)
      guard guest.vcpus.allSatisfy({ $0.apicID != vcpu.apicID }) else {
        throw MigrationError(
          .vcpuRepeated, "two vCPUs have one APIC id", got: "\(vcpu.apicID)")
      }
      guest.vcpus.append(vcpu)
    case .service:
      let service = try ServicePlaintext.decode(plaintext)
      guard service.kind.isKnown || !service.isMandatory else {
        throw MigrationError(
          .serviceUnknown, "a mandatory service is unknown to this version", got: service.kind.name)
      }
      guard guest.services.allSatisfy({ $0.kind != service.kind }) else {
        throw MigrationError(.serviceSyntax, "a service occurs twice", got: service.kind.name)
      }
      try (guest.services + [service]).requireLimits()
      guest.services.append(service)
    case .secrets:
      guard secrets == nil else {
        throw MigrationError(.secretsPage, "a guest has one secrets page")
      }
      secrets = try SecretsPlaintext.decode(plaintext)
    case .pageStates:
      var cursor = ByteCursor(plaintext)
      try guest.pageStates.appendRuns(from: &cursor)
    }
    try guest.requireRoom()
  }

  /// Checks that the pieces agree on the facts that several of them contain.
  /// - Parameters:
  ///   - offset: where the commit begins in the stream.
  ///   - refuse: called with each broken rule.
  /// - Throws: `SECRETS-PAGE`, `VCPU-VMPL`.
  func requireAgreement(
    at offset: UInt64, refuse: MigrationError.Refusal = MigrationError.refuse
  ) throws(MigrationError) {
    try guest.requireAgreement(with: secrets, at: offset, refuse: refuse)
  }

  /// The state that `instance` restores from the pieces.
  func restored(on instance: SVSMInstance) throws(MigrationError) -> RestoredState {
    guard let secrets else { return RestoredState(guest: guest, secretsPage: nil) }
    let page = try SecretsPage(facts: secrets.facts, on: instance.secretsPage()).bytes
    return RestoredState(guest: guest, secretsPage: (secrets.gpa, page))
  }
}
