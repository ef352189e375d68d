/// What the memory of a device or of firmware is like, so that a backend with the same name is not taken for
/// it.
///
/// QEMU lets a user choose the id of a memory backend, and with it the name of the block, freely: a DIMM may
/// be called `isa-bios` on a machine that makes no block of that name. After QEMU's hw/i386 (x86.c,
/// pc_sysfw.c), hw/block/pflash_cfi01.c, hw/tpm and hw/display.
struct DeviceMemory {
  /// Bytes it has at most.
  let limit: UInt64
  /// What the name of its device's section ends with, or has after the last `/`; empty for memory whose
  /// device has no section.
  let sections: [String]

  private static let kibibyte: UInt64 = 1 << 10
  private static let mebibyte: UInt64 = 1 << 20

  /// What a block of this name is, without the path before the last `/`; nil for an unknown name.
  static func known(_ name: Substring) -> DeviceMemory? {
    switch name {
    case "pc.bios": DeviceMemory(limit: 16 * mebibyte, sections: [])
    case "pc.rom", "isa-bios": DeviceMemory(limit: 128 * kibibyte, sections: [])
    case "system.flash0", "system.flash1":
      DeviceMemory(limit: 16 * mebibyte, sections: ["pflash_cfi01"])
    case "tpm-ppi", "tpm-crb-cmd": DeviceMemory(limit: 4 * kibibyte, sections: [])
    case "bochs-display-vram": DeviceMemory(limit: 512 * mebibyte, sections: ["bochs-display"])
    case "qxl.vrom", "qxl.vram", "qxl.vgavram": DeviceMemory(limit: .max, sections: ["qxl"])
    case "vga.vram", "vmsvga.fifo":
      DeviceMemory(limit: 512 * mebibyte, sections: ["vga", "vmware_vga_internal", "qxl"])
    default: nil
    }
  }

  /// Whether `block` can be it.
  /// - Parameters:
  ///   - path: of the device, with the `/` that ends it; empty for a bare name.
  ///   - names: of the stream's sections; nil when they are not known.
  func fits(_ block: RAMBlock, path: Substring, among names: Set<String>?) -> Bool {
    guard block.size <= limit else { return false }
    guard let names, !sections.isEmpty else { return true }
    return names.contains { name in
      name.hasPrefix(path) && sections.contains { name.hasSuffix($0) }
    }
  }
}
