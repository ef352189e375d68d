/// Findings from a destination's dump about a stream.
extension CodeRow {
  static let targets = [
    CodeRow(
      .targetSyntax, .target("1"), plain: nil,
      meaning: "a file about the destination is not a dump, or not a list, of QEMU",
      causes: [
        "a dump that was cut off, or that QEMU ended before writing",
        "a list of machines given as one of devices",
        "the VM description of a stream given as a dump",
      ],
      remedy: "write it anew: qemu-system-… -M MACHINE -dump-vmstate FILE, on the destination"),
    CodeRow(
      .targetMachine, .target("3", rule: 1), plain: nil,
      meaning: "the stream is for another machine type than the destination's dump",
      causes: [
        "pc or q35 given at the destination, which mean its newest version",
        "a dump that was written without -M",
        "a guest of i440FX for q35",
      ],
      remedy: "start the destination with the stream's machine type, and write its dump with it; "
        + "\(.targetMachines) shows whether it has that type"),
    CodeRow(
      .targetSection, .target("3", rule: 2), plain: nil,
      meaning: "the destination has no device type with such a section",
      causes: [
        "a device that a newer QEMU has and the destination's does not",
        "a module of QEMU that is not installed at the destination",
        "a QEMU of another vendor",
      ],
      remedy: "save the guest without that device, or give the destination a QEMU that has it"),
    CodeRow(
      .targetVersion, .target("3", rule: 3), plain: nil,
      meaning: "a device's state has a version that the destination does not read",
      causes: [
        "a stream of a newer QEMU without the machine type of the older",
        "a destination that has given up a very old version",
      ],
      remedy: "save with the newest machine type that both have; else with another QEMU"),
    CodeRow(
      .targetField, .target("3", rule: 4), plain: nil,
      meaning: "a device's state has other fields than the destination reads",
      causes: [
        "a QEMU whose vendor has changed a device",
        "a bug in one of the two versions",
        "a machine type that lets the newer QEMU write a field more",
      ],
      remedy:
        "save with the newest machine type that both have; else report it to QEMU's developers"),
    CodeRow(
      .targetSubsection, .target("3", rule: 5), plain: nil,
      meaning: "a device's state has a subsection that the destination does not know",
      causes: [
        "a feature in use that the destination's QEMU does not have",
        "a machine type newer than the destination",
      ],
      remedy: "switch the feature off before the guest is saved, or use an older machine type"),
    CodeRow(
      .targetRAM, .target("3", rule: 6), plain: nil,
      meaning: "a RAM block has another size at the destination",
      causes: [
        "another -m at the destination",
        "firmware or option ROMs of another size there",
      ],
      remedy: "give the destination the same memory and firmware"),
  ]
}
