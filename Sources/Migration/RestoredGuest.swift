internal import Bytes
internal import Guest
internal import QEMUStream
internal import SEVSNP
internal import SVSM

extension GuestDescription {
  /// The guest that comes out of a migration: what its SVSM restored, together with what the host knows.
  /// - Parameter frame: what the VMM keeps of the machine; nil when the stream has nothing of it.
  /// - Throws: `MACHINE-SYNTAX`, `GUEST-SHAPE`, and what `validate` refuses.
  init(
    _ restored: RestoredState, machine: String, blocks: [Guest.RAMBlock], map: GuestMap,
    frame: MachineFrame?
  ) throws(MigrationError) {
    var attributes = GPARangeSet()
    for run in restored.guest.pageStates.runs where run.state.isPrivate {
      attributes.insert(try GPARange(start: run.gpa, end: run.end))
    }
    self.init(
      machine: machine, ramBlocks: blocks, map: map, attributes: attributes,
      pageStates: restored.guest.pageStates, vcpus: restored.guest.vcpus,
      services: restored.guest.services.filter { $0.kind != .machine })
    machineState = try Self.machineState(restored, frame)
    try validate()
  }

  /// What the VMM keeps of the machine, together with what the SVSM carried of it.
  private static func machineState(
    _ restored: RestoredState, _ frame: MachineFrame?
  ) throws(MigrationError) -> [UInt8]? {
    let sealed = restored.guest.services.first { $0.kind == .machine }?.blob
    guard var frame else {
      guard sealed == nil else {
        throw MigrationError(
          .machineSyntax, "SVSM carried sections of a machine that did not come",
          section: "snp-machine", expected: "a section snp-machine", got: "none")
      }
      return nil
    }
    try frame.fill(sealed: sealed)
    return try frame.whole().encoded
  }
}
