package import Errors
package import SEVSNP
internal import Wire

/// Everything that is known of a guest at rest, except the content of its memory.
package struct GuestDescription: Sendable, Hashable {
  /// Largest number of vCPUs of a guest.
  package static let maximumVCPUs = VCPUState.maximumCount
  /// Largest length of a machine's name in bytes.
  package static let maximumMachineLength = 255
  /// Largest size of the machine state, in bytes.
  package static let maximumMachineStateSize = 16 << 20

  /// QEMU's name of the machine type: "pc-q35-10.0".
  package var machine: String
  /// RAM blocks in the order of the stream or manifest; the map refers to them by index.
  package var ramBlocks: [RAMBlock]
  /// Guest-physical addresses of the RAM blocks.
  package var map: GuestMap
  /// The pages that the VMM's KVM memory attributes call private. They decide which memory an
  /// access reaches. This is the host's statement; the SVSM relies on `pageStates` instead.
  package var attributes: GPARangeSet
  /// The state of each page, as the SVSM knows it.
  package var pageStates: PageStateMap
  /// The vCPUs, in order of index.
  package var vcpus: [VCPUState]
  /// State of the SVSM's services, at most one of each kind.
  package var services: [ServiceState]
  /// State of the VMM's devices, as module Migration encodes it (`MachineState`); this module does
  /// not interpret it. Nil when it is not known.
  package var machineState: [UInt8]?
  /// The moment of a stream whose memory this is; nil for a whole guest. An incomplete guest has
  /// neither vCPUs nor services, and its page states are those that its page records tell.
  package var moment: GuestMoment?

  package init(
    machine: String, ramBlocks: [RAMBlock], map: GuestMap, attributes: GPARangeSet,
    pageStates: PageStateMap, vcpus: [VCPUState], services: [ServiceState]
  ) {
    self.machine = machine
    self.ramBlocks = ramBlocks
    self.map = map
    self.attributes = attributes
    self.pageStates = pageStates
    self.vcpus = vcpus
    self.services = services
  }

  /// Checks that the parts are consistent with each other. It does not check whether the host's
  /// attributes agree with the page states (`PageStateMap.firstDisagreement`), nor the content of a
  /// VMSA: the SVSM refuses those.
  /// - Throws: `GUEST-SHAPE`; `MAP-LAYOUT` for a map that does not fit the blocks; `VCPU-VMPL`,
  ///   `VCPU-REPEATED`; `SERVICE-SYNTAX`; `SECRETS-PAGE` for more than one secrets page.
  package func validate() throws(MigrationError) {
    try Self.requireLimits(
      machine: machine, ramBlocks: ramBlocks.count, vcpus: vcpus.count, services: services.count)
    guard machineState.map({ 1...Self.maximumMachineStateSize ~= $0.count }) ?? true else {
      throw MigrationError(
        .guestShape, "machine state has a wrong length",
        expected: "1 to \(Self.maximumMachineStateSize) bytes",
        got: "\(machineState?.count ?? 0)")
    }
    guard moment == nil || vcpus.isEmpty && services.isEmpty && machineState == nil else {
      throw MigrationError(
        .guestShape, "an incomplete guest has vCPUs, services or devices",
        expected: "memory alone")
    }
    if let name = firstRepeated(ramBlocks.map(\.name)) {
      throw MigrationError(
        .guestShape, "two RAM blocks have one name", got: "\"\(printable(name))\"")
    }
    _ = try GuestMap(map.ranges, blocks: ramBlocks)
    try validateStates()
    for vcpu in vcpus where !(1...3).contains(vcpu.vmpl) {
      throw MigrationError(
        .vcpuVMPL, "vCPU runs at a VMPL that no guest can have", expected: "VMPL 1 to 3",
        got: "VMPL \(vcpu.vmpl)")
    }
    if let id = firstRepeated(vcpus.map(\.apicID)) {
      throw MigrationError(.vcpuRepeated, "two vCPUs have one APIC id", got: "\(id)")
    }
    guard !services.contains(where: { $0.kind == .machine }) else {
      throw MigrationError(
        .serviceSyntax, "machine sections cannot be a service of the guest", got: "kind 2")
    }
    if let kind = firstRepeated(services.map(\.kind)) {
      throw MigrationError(.serviceSyntax, "a service occurs twice", got: kind.name)
    }
    try services.requireLimits()
    try StateRoom.require(
      vcpus: vcpus.count, services: services.reduce(0) { $0 + $1.blob.count },
      runs: pageStates.runs.count)
  }

  /// Checks that every mapped page has a state, that no other page has one, and that there is at
  /// most one secrets page.
  /// - Throws: `GUEST-SHAPE`, `SECRETS-PAGE`.
  private func validateStates() throws(MigrationError) {
    if let gpa = pageStates.ranges().firstDifference(from: map.addresses.addresses) {
      throw MigrationError(
        .guestShape,
        map.locate(gpa) == nil ? "a page has a state but no memory" : "a mapped page has no state",
        got: "guest-physical \(Hex.number(gpa))")
    }
    guard pageStates.pages(in: .secrets) <= 1 else {
      throw MigrationError(
        .secretsPage, "guest has more than one secrets page", expected: "at most 1",
        got: "\(pageStates.pages(in: .secrets))")
    }
  }

  /// Checks that a guest can have a machine of this name and these numbers of parts.
  /// - Throws: `GUEST-SHAPE`.
  package static func requireLimits(
    machine: String, ramBlocks: Int, vcpus: Int, services: Int
  ) throws(MigrationError) {
    guard (1...maximumMachineLength).contains(machine.utf8.count) else {
      throw MigrationError(
        .guestShape, "name of the machine has a wrong length",
        expected: "1 to \(maximumMachineLength) bytes", got: "\(machine.utf8.count)")
    }
    for (what, count, most) in [
      ("RAM blocks", ramBlocks, RAMBlock.maximumCount), ("vCPUs", vcpus, maximumVCPUs),
      ("services", services, ServiceState.maximumCount),
    ] where count > most {
      throw MigrationError(
        .guestShape, "guest has too many \(what)", expected: "at most \(most)", got: "\(count)")
    }
  }

  private func firstRepeated<Value: Hashable>(_ values: [Value]) -> Value? {
    var seen: Set<Value> = []
    return values.first { !seen.insert($0).inserted }
  }
}
