internal import Errors
package import SEVSNP

/// The state of a guest that its SVSM holds in addition to the guest's memory.
package struct TrustedGuestState: Sendable, Hashable {
  /// The state of every page of the guest.
  package var pageStates: PageStateMap
  /// In order of APIC id.
  package var vcpus: [VCPUState]
  package var services: [ServiceState]

  package init(pageStates: PageStateMap, vcpus: [VCPUState], services: [ServiceState]) {
    self.pageStates = pageStates
    self.vcpus = vcpus
    self.services = services
  }

  /// Makes sure that a destination would accept this guest. What a destination refuses must not
  /// leave, because the source cannot go on after its commit.
  /// - Throws: `VCPU-COUNT`, `VCPU-VMPL`, `VCPU-EFER`, `VCPU-FEATURES`, `VCPU-REPEATED`,
  ///   `SERVICE-SYNTAX`, `SERVICE-UNKNOWN`, `GUEST-SHAPE`, `MAP-SYNTAX`.
  func validateForExport(features: SEVFeatures) throws(MigrationError) {
    guard !vcpus.isEmpty else { throw MigrationError(.vcpuCount, "guest has no vCPU") }
    try validateMemory()
    var apicIDs: Set<UInt32> = []
    for vcpu in vcpus {
      try VMSA(vcpu.vmsa).validateForImport(
        expectedVMPL: vcpu.vmpl, expectedFeatures: features)
      guard apicIDs.insert(vcpu.apicID).inserted else {
        throw MigrationError(.vcpuRepeated, "two vCPUs have one APIC id", got: "\(vcpu.apicID)")
      }
    }
    try requireOneLevel()
    var kinds: Set<ServiceState.Kind> = []
    for service in services {
      guard service.kind.isKnown || !service.isMandatory else {
        throw MigrationError(
          .serviceUnknown, "a mandatory service is unknown to this version", got: service.kind.name)
      }
      guard kinds.insert(service.kind).inserted else {
        throw MigrationError(.serviceSyntax, "a service occurs twice", got: service.kind.name)
      }
    }
    try services.requireLimits()
    try requireRoom()
  }

  /// - Throws: `GUEST-SHAPE` when this is more than an SVSM keeps of a guest.
  func requireRoom() throws(MigrationError) {
    try StateRoom.require(
      vcpus: vcpus.count, services: services.reduce(0) { $0 + $1.blob.count },
      runs: pageStates.runs.count)
  }

  /// - Throws: `MAP-SYNTAX` for a guest without memory.
  func validateMemory() throws(MigrationError) {
    guard !pageStates.runs.isEmpty else {
      throw MigrationError(.mapSyntax, "guest has no memory", in: .pageStates)
    }
  }

  /// Guest-physical address of the secrets page, when the guest has one.
  package var secretsPage: UInt64? { pageStates.runs.first { $0.state == .secrets }?.gpa }

  /// The part of the secrets page that migrates, and its address; nil when the guest has no secrets
  /// page.
  /// - Parameter page: content of the secrets page, 4096 bytes.
  /// - Throws: `SECRETS-PAGE`.
  func secrets(
    in page: [UInt8]?
  ) throws(MigrationError) -> (gpa: UInt64, facts: SecretsPageFacts)? {
    guard let gpa = secretsPage else { return nil }
    guard let page else {
      throw MigrationError(.secretsPage, "content of the secrets page is missing")
    }
    return (gpa, try SecretsPage(page).facts)
  }
}

/// What a destination restores after a good commit.
package struct RestoredState: Sendable {
  package var guest: TrustedGuestState
  /// The rebuilt secrets page and its guest-physical address. Its keys are the destination's own.
  package var secretsPage: (gpa: UInt64, page: [UInt8])?
}
