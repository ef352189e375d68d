/// What the name that QEMU gives a RAM block says of it.
///
/// A memory backend's block bears the backend's id, `/objects/ID` on machines before 4.1, or
/// `PATH/ID` where its device lies on a bus: any name that is not known here may be memory of the
/// guest.
public enum BlockRole: Sendable, Hashable {
  /// Main memory, whole.
  case main
  /// Main memory of a NUMA node, as libvirt names its backends: `ram-node0`.
  case node(UInt32)
  /// Memory of a device or firmware, which is no RAM of the guest.
  case device
  /// Not known: a memory backend's id.
  case backend

  /// Names of firmware and device memory in QEMU's hw/i386, hw/display and hw/tpm, behind the path of
  /// the device where it has one.
  private static let deviceNames: Set<String> = [
    "pc.bios", "pc.rom", "isa-bios", "system.flash0", "system.flash1", "vga.vram",
    "bochs-display-vram", "qxl.vrom", "qxl.vram", "qxl.vgavram", "vmsvga.fifo", "tpm-ppi",
    "tpm-crb-cmd",
  ]

  public init(ofBlock name: String) {
    if GuestLayout.mainBlocks.contains(name) {
      self = .main
      return
    }
    let backend = name.hasPrefix("/objects/") ? String(name.dropFirst("/objects/".count)) : name
    if backend.hasPrefix("ram-node"), let node = UInt32(backend.dropFirst("ram-node".count)) {
      self = .node(node)
      return
    }
    let last = name.split(separator: "/", omittingEmptySubsequences: false).last.map(String.init)
    let isROM = name.hasPrefix("/rom@") || last != name && last?.hasSuffix(".rom") == true
    self = isROM || Self.deviceNames.contains(last ?? name) ? .device : .backend
  }
}
