/// The role of a RAM block, as far as the name that QEMU gave it shows.
///
/// A memory backend's block is named by the backend's id: by `/objects/ID` on machines before 4.1,
/// or by `PATH/ID` where its device is on a bus. So a block with any name that is not known here
/// may be guest memory.
package enum BlockRole: Sendable, Hashable {
  /// All of main memory.
  case main
  /// Main memory of a NUMA node, by the names that libvirt gives backends: `ram-node0`.
  case node(UInt32)
  /// Memory of a device or firmware, which is not RAM of the guest.
  case device
  /// Unknown: the id of a memory backend.
  case backend

  /// Names of firmware and device memory in QEMU's hw/i386 and hw/tpm. The machine creates these
  /// blocks itself, and QEMU gives no other block the same name.
  private static let machineNames: Set<String> = [
    "pc.bios", "pc.rom", "isa-bios", "system.flash0", "system.flash1", "tpm-ppi", "tpm-crb-cmd",
  ]
  /// Names of video memory in QEMU's hw/display, after the path of the device.
  private static let displayNames: Set<String> = [
    "vga.vram", "bochs-display-vram", "qxl.vrom", "qxl.vram", "qxl.vgavram", "vmsvga.fifo",
  ]

  /// - Parameter machine: machine type. Before 4.1 a backend's block is called `/objects/ID`, so a
  ///   name without a path is never that of a backend. On later machines it may be, and there the
  ///   names of video memory include the path of the device.
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
