package import Errors
internal import Wire

/// One vCPU of a guest at rest, as its SVSM keeps it.
package struct VCPUState: Sendable, Hashable {
  /// Largest number of vCPUs of a guest.
  package static let maximumCount = 4096

  /// APIC id that the vCPU is bound to; unique in a guest.
  package var apicID: UInt32
  /// VMPL at which the guest runs on it, 1 to 3: VMPL0 is the SVSM's own.
  package var vmpl: UInt8
  /// The VMSA page: 4096 bytes in AMD's layout (see `VMSA`).
  package var vmsa: [UInt8]

  /// - Throws: `VCPU-SYNTAX` when `vmsa` is not one page.
  package init(apicID: UInt32, vmpl: UInt8, vmsa: [UInt8]) throws(MigrationError) {
    guard vmsa.count == VMSA.Layout.size else {
      throw MigrationError(
        .vcpuSyntax, "a VMSA is one page", expected: "\(VMSA.Layout.size) bytes",
        got: "\(vmsa.count)")
    }
    self.apicID = apicID
    self.vmpl = vmpl
    self.vmsa = vmsa
  }
}
