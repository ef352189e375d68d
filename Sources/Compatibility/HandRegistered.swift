/// Sections that QEMU registers in code and not by the class of a device type: no dump lists them, and
/// whether a target has them does not follow from one.
///
/// From `vmstate_register…` and `register_savevm_live` in QEMU 7.2 and 10.0. `Formats/target.md` lists
/// the same names.
package enum HandRegistered {
  /// Idstrs, or what stands in them after the path of a device.
  package static let names: Set<String> = [
    "PCIBUS", "acpi_build", "adb_bus", "ads7846", "apic", "arm_timer", "audio", "block",
    "cpu", "cpu_common", "dbus-vmstate", "dirty-bitmap", "eeprom", "globalstate", "hvf-vtimer",
    "i2c_bus", "icp/server", "ide", "ipmi-bmc-extern", "ipmi-bmc-sim", "ipmi-interface",
    "ipmi-interface-isa-bt", "isa-ide", "mss-timer-block", "onenand", "or1k_timer", "pxa2xx_cm",
    "pxa2xx_i2s", "pxa2xx_keypad", "pxa2xx_lcdc", "pxa2xx_mm", "pxa2xx_pm", "ram", "replay",
    "s390-skeys", "s390-stattrib", "s390_css", "slirp", "spapr", "spapr/htab", "spapr_cpu",
    "spapr_drc", "spapr_drc/physical", "spapr_iommu", "spapr_nvdimm_states",
    "stellaris_gamepad", "timer", "todclock", "tpm-emulator", "tsc2005", "tsc2102", "tsc2301",
    "vfio", "vga", "virt_acpi_build", "virtio-mem-device-early",
    // Models of one network card, each with a description of its name.
    "i82550", "i82551", "i82557a", "i82557b", "i82557c", "i82558a", "i82558b", "i82559a",
    "i82559b", "i82559c", "i82559er", "i82562", "i82801",
  ]

  private static let bytes = Set(names.map { Array($0.utf8) })

  static func contains(_ name: [UInt8]) -> Bool { bytes.contains(name) }
}
