public import Bytes
public import Guest
internal import SEVSNP
public import SVSM

extension GuestReader {
  /// What the VMM keeps of the machine; nil when it is not known.
  /// - Throws: `MACHINE-SYNTAX`.
  func machine() throws(MigrationError) -> MachineState? {
    guard let bytes = description.machineState else { return nil }
    return try MachineState(bytes)
  }

  /// What of the guest its SVSM keeps: also sections of the machine that are the guest's own.
  /// - Throws: `MACHINE-SYNTAX`; `SERVICE-SYNTAX` when those sections are too long.
  public func trustedState() throws(MigrationError) -> TrustedGuestState {
    var services = description.services
    if let sealed = try machine()?.sealed {
      services.append(
        try ServiceState(kind: .machine, version: 1, generation: 0, blob: sealed))
    }
    return TrustedGuestState(
      pageStates: description.pageStates, vcpus: description.vcpus, services: services)
  }
}
