package import Errors
internal import FileIO
package import SEVSNP

/// Facts about a guest that a raw memory image does not contain.
package struct RawImageOptions: Sendable {
  /// QEMU's machine type, which together with `below4G` decides the addresses of the memory.
  package var machine = "pc-q35-10.0"
  /// Bytes of memory below the hole at 4 GiB; nil for the usual number of the machine.
  package var below4G: UInt64?
  /// The private memory: all memory, or ranges of it.
  package var privateRanges = GPARangeSet()
  /// The vCPUs; nil for one vCPU in reset state at VMPL 2.
  package var vcpus: [VCPUState]?
  /// State of the SVSM's services, such as a virtual TPM.
  package var services: [ServiceState] = []

  package init() {}
}

extension GuestReader {
  /// Opens a raw memory image, the content of one RAM block from its first byte to its last.
  /// Private pages are taken as validated, with the permissions an SVSM gives its guest.
  /// - Throws: `INPUT-OPEN`, `INPUT-KIND`; `GUEST-SHAPE` when the image is not in whole pages;
  ///   what `GuestLayout.ranges` and `GuestMap.memory` throw.
  package convenience init(
    rawImage path: String, _ options: RawImageOptions = .init()
  ) throws(MigrationError) {
    let file = try InputFile(path, .regular)
    let block = try RAMBlock(
      name: GuestLayout.mainBlock(of: options.machine), size: try file.regularSize())
    let map = try GuestMap(
      try GuestLayout.ranges(
        machine: options.machine, size: block.size, below4G: options.below4G),
      blocks: [block])
    let isPrivate = try map.memory(in: options.privateRanges)
    let vcpus: [VCPUState]
    if let given = options.vcpus { vcpus = given } else { vcpus = [try Self.resetVCPU()] }
    let description = GuestDescription(
      machine: options.machine, ramBlocks: [block], map: map, attributes: isPrivate,
      pageStates: try PageStateMap(map.addresses, private: isPrivate), vcpus: vcpus,
      services: options.services)
    try description.validate()
    self.init(description, memory: BlockFiles([.init(file: file)]))
  }

  /// A vCPU with APIC id 0 in the state after a reset, at VMPL 2.
  package static func resetVCPU() throws(MigrationError) -> VCPUState {
    let cpu = CPUIdentity(family: 0x19, model: 0x01, stepping: 1)
    return try VCPUState(apicID: 0, vmpl: 2, vmsa: VMSA.reset(vmpl: 2, cpu: cpu).bytes)
  }
}
