/// What the name that QEMU gives a RAM block says of it.
///
/// A memory backend's block bears the backend's id, `/objects/ID` on machines before 4.1, or
/// `PATH/ID` where its device lies on a bus: any name that is not known here may be memory of the
/// guest.
package enum BlockRole: Sendable, Hashable {
  /// Main memory, whole.
  case main
  /// Main memory of a NUMA node, as libvirt names its backends: `ram-node0`.
  case node(UInt32)
  /// Memory of a device or firmware, which is no RAM of the guest.
  case device
  /// Not known: a memory backend's id.
  case backend

  /// Names of firmware and device memory in QEMU's hw/i386 and hw/tpm. The machine has them itself, and
  /// QEMU gives no second block a name that there is.
  private static let machineNames: Set<String> = [
    "pc.bios", "pc.rom", "isa-bios", "system.flash0", "system.flash1", "tpm-ppi", "tpm-crb-cmd",
  ]
  /// Names of video memory in QEMU's hw/display, after the path of the device.
  private static let displayNames: Set<String> = [
    "vga.vram", "bochs-display-vram", "qxl.vrom", "qxl.vram", "qxl.vgavram", "vmsvga.fifo",
  ]

  /// - Parameter machine: machine type: before 4.1 a backend's block is called `/objects/ID`, so that a
  ///   name without a path is never a backend's. Of later machines it may be, and those give the path of
  ///   the device to the names of video memory.
  package init(ofBlock name: String, on machine: String) {
    if GuestLayout.mainBlocks.contains(name) {
      self = .main
      return
    }
    let isBackend = name.hasPrefix("/objects/")
    let id = isBackend ? String(name.dropFirst("/objects/".count)) : name
    if id.hasPrefix("ram-node"), let node = UInt32(id.dropFirst("ram-node".count)) {
      self = .node(node)
      return
    }
    guard !isBackend else {
      self = .backend
      return
    }
    let last = name.split(separator: "/", omittingEmptySubsequences: false).last.map(String.init)
    let hasPath = last != name
    let isROM = name.hasPrefix("/rom@") || hasPath && last?.hasSuffix(".rom") == true
    let isDisplay =
      Self.displayNames.contains(last ?? name)
      && (hasPath || GuestLayout.namesBackendsByPath(machine))
    self =
      isROM || isDisplay || Self.machineNames.contains(last ?? name) ? .device : .backend
  }
}
