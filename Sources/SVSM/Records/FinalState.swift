internal import Errors
package import SEVSNP
package import Wire

/// What an SVSM holds of its guest beside the guest's memory.
package struct TrustedGuestState: Sendable, Hashable {
  package var pageStates: PageStateMap
  /// In order of APIC id.
  package var vcpus: [VCPUState]
  package var services: [ServiceState]

  package init(pageStates: PageStateMap, vcpus: [VCPUState], services: [ServiceState]) {
    self.pageStates = pageStates
    self.vcpus = vcpus
    self.services = services
  }

  /// Whether a destination would take this guest: what it refuses must not leave, for the source is
  /// over once it has committed.
  /// - Throws: `VCPU-COUNT`, `VCPU-VMPL`, `VCPU-EFER`, `VCPU-FEATURES`, `VCPU-REPEATED`,
  ///   `SERVICE-SYNTAX`, `SERVICE-UNKNOWN`, `MAP-SYNTAX`.
  func validateForExport(features: SEVFeatures) throws(MigrationError) {
    guard !vcpus.isEmpty else { throw MigrationError(.vcpuCount, "guest has no vCPU") }
    guard !pageStates.runs.isEmpty else {
      throw MigrationError(.mapSyntax, "guest has no memory", in: .pageStates)
    }
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
          .serviceUnknown, "a mandatory service is not known here", got: service.kind.name)
      }
      guard kinds.insert(service.kind).inserted else {
        throw MigrationError(.serviceSyntax, "a service occurs twice", got: service.kind.name)
      }
    }
  }

  /// Guest-physical address of the secrets page, when the guest has one.
  package var secretsPage: UInt64? { pageStates.runs.first { $0.state == .secrets }?.gpa }
}

/// What a destination restores once the commit is good.
package struct RestoredState: Sendable {
  package var guest: TrustedGuestState
  /// The rebuilt secrets page and where it goes; its keys are the destination's own.
  package var secretsPage: (gpa: UInt64, page: [UInt8])?
}

/// The secrets page's portable part inside a final record.
package enum SecretsPlaintext {
  /// Big-endian.
  ///
  ///     offset  size  field
  ///          0     8  gpa    guest-physical address of the page
  ///          8   144  facts  see `SecretsPageFacts`
  package static let layout = RecordLayout("secrets", ["gpa": 8, "facts": 144])

  static func encode(gpa: UInt64, facts: SecretsPageFacts) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(bigEndian: gpa)
    return bytes + facts.bytes
  }

  static func decode(
    _ bytes: Span<UInt8>
  ) throws(MigrationError) -> (gpa: UInt64, facts: SecretsPageFacts) {
    var cursor = ByteCursor(bytes)
    return (try cursor.read(UInt64.self), try SecretsPageFacts(from: &cursor))
  }
}
