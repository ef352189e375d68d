package import Errors
package import Guest
internal import SEVSNP
package import SVSM

extension GuestReader {
  /// The VMM's part of the machine state; nil when the guest has none.
  /// - Throws: `MACHINE-SYNTAX`.
  func machine() throws(MigrationError) -> MachineState? {
    guard let bytes = description.machineState else { return nil }
    return try MachineState(bytes)
  }

  /// What the SVSM holds of this guest. It includes the parts of the machine that are the guest's
  /// own: registers and the state of its TPM.
  /// - Throws: `MACHINE-SYNTAX`; `SERVICE-SYNTAX` when the parts of the machine are too long;
  ///   `IO-READ`.
  package func trustedState() throws(MigrationError) -> TrustedGuestState {
    var services = description.services
    try machine()?.requireRegisters(of: description.vcpus)
    if let sealed = try sealedMachine().encoded {
      services.append(
        try ServiceState(
          kind: .machine, version: SealedMachine.version, generation: 0, blob: sealed))
    }
    return TrustedGuestState(
      pageStates: description.pageStates, vcpus: description.vcpus, services: services)
  }

  /// The content of the secrets page; nil when the guest has none.
  /// - Throws: `IO-READ`.
  func secretsPage() throws(MigrationError) -> [UInt8]? {
    guard let run = description.pageStates.runs.first(where: { $0.state == .secrets }) else {
      return nil
    }
    var page = [UInt8](repeating: 0, count: PageMetadata.pageSize)
    var span = page.mutableSpan
    try read(gpa: run.gpa, into: &span)
    return page
  }
}
