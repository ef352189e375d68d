import QEMUStream
import Testing

@Suite struct MachineLayoutTests {
  /// Machine, MiB of RAM, MiB below the hole (QEMU hw/i386: pc_piix.c, pc_q35.c, microvm.c).
  @Test(arguments: [
    ("pc-i440fx-7.2", 32, 32), ("pc", 3583, 3583), ("pc-i440fx-10.0", 3584, 3072),
    ("pc", 8192, 3072), ("pc-q35-10.0", 2815, 2815), ("q35", 2816, 2048), ("q35", 65536, 2048),
    ("microvm", 3072, 3072), ("microvm", 3073, 3072),
  ])
  func ramIsSplitAtTheMachinesHole(machine: String, size: UInt64, below: UInt64) throws {
    let mib: UInt64 = 1 << 20
    let layout = try #require(MachineLayout(machine: machine, size: size * mib))
    var expected = [MachineLayout.Range(blockOffset: 0, gpa: 0, size: below * mib)]
    if size > below {
      expected.append(.init(blockOffset: below * mib, gpa: 4 << 30, size: (size - below) * mib))
    }
    #expect(layout.ranges == expected)
  }

  @Test(arguments: [
    "none", "isapc", "", "pc-i440fx-1.7", "pc-q35-rhel9.2.0", "pc-i440fx-2", "virt",
  ])
  func anUnknownMachineHasNoLayout(machine: String) {
    #expect(MachineLayout(machine: machine, size: 1 << 30) == nil)
    #expect(MachineLayout(machine: "q35", size: .max) == nil)
  }
}
