internal import SEVSNP
package import Wire

/// The registers of one vCPU in the notes of an ELF core: as Linux gives them to a debugger
/// (`NT_PRSTATUS`), and with the control registers as QEMU's `dump-guest-memory` adds them (QEMU
/// `target/i386/arch_dump.c`). All fields little-endian; the notes are described in
/// `Formats/export.md`.
package enum ELFCoreNotes {
  /// Linux's `struct elf_prstatus` of x86-64.
  package static let prstatusLayout = RecordLayout(
    "elf-prstatus",
    [
      "signal": 32, "pid": 4, "times": 76, "r15": 8, "r14": 8, "r13": 8, "r12": 8, "rbp": 8,
      "rbx": 8, "r11": 8, "r10": 8, "r9": 8, "r8": 8, "rax": 8, "rcx": 8, "rdx": 8, "rsi": 8,
      "rdi": 8, "orig_rax": 8, "rip": 8, "cs": 8, "eflags": 8, "rsp": 8, "ss": 8, "fs_base": 8,
      "gs_base": 8, "ds": 8, "es": 8, "fs": 8, "gs": 8, "fpvalid": 4, "padding": 4,
    ])

  /// QEMU's `QEMUCPUState`, version 1.
  package static let cpuStateLayout = RecordLayout(
    "elf-qemu-cpu-state",
    [
      "version": 4, "size": 4, "rax": 8, "rbx": 8, "rcx": 8, "rdx": 8, "rsi": 8, "rdi": 8,
      "rsp": 8, "rbp": 8, "r8": 8, "r9": 8, "r10": 8, "r11": 8, "r12": 8, "r13": 8, "r14": 8,
      "r15": 8, "rip": 8, "rflags": 8, "cs": 24, "ds": 24, "es": 24, "fs": 24, "gs": 24, "ss": 24,
      "ldt": 24, "tr": 24, "gdt": 24, "idt": 24, "cr0": 8, "cr1": 8, "cr2": 8, "cr3": 8, "cr4": 8,
      "kernel_gs_base": 8,
    ])

  /// `NT_PRSTATUS`.
  private static let prstatusType: UInt32 = 1

  private static let general: [(name: String, register: VMSA.Register)] = [
    ("rax", .rax), ("rbx", .rbx), ("rcx", .rcx), ("rdx", .rdx), ("rsi", .rsi), ("rdi", .rdi),
    ("rsp", .rsp), ("rbp", .rbp), ("r8", .r8), ("r9", .r9), ("r10", .r10), ("r11", .r11),
    ("r12", .r12), ("r13", .r13), ("r14", .r14), ("r15", .r15), ("rip", .rip),
  ]
  private static let segments: [(name: String, register: VMSA.SegmentRegister)] = [
    ("cs", .cs), ("ds", .ds), ("es", .es), ("fs", .fs), ("gs", .gs), ("ss", .ss),
  ]
  private static let tables: [(name: String, register: VMSA.SegmentRegister)] = [
    ("ldt", .ldtr), ("tr", .tr), ("gdt", .gdtr), ("idt", .idtr),
  ]

  /// The notes of all vCPUs: first each `NT_PRSTATUS`, then each of QEMU's, as QEMU orders them.
  /// - Parameter vmsas: one for each vCPU, in order.
  static func encode(_ vmsas: [VMSA]) -> [UInt8] {
    var notes: [UInt8] = []
    for (index, vmsa) in vmsas.enumerated() {
      append("CORE", prstatusType, prstatus(of: vmsa, number: UInt64(index) + 1), to: &notes)
    }
    for vmsa in vmsas { append("QEMU", 0, cpuState(of: vmsa), to: &notes) }
    return notes
  }

  /// - Parameter name: four ASCII characters.
  private static func append(
    _ name: String, _ type: UInt32, _ content: [UInt8], to notes: inout [UInt8]
  ) {
    notes.append(littleEndian: UInt32(name.utf8.count + 1))
    notes.append(littleEndian: UInt32(content.count))
    notes.append(littleEndian: type)
    // The name ends with a NUL and fills whole words; so does either content by its size.
    notes += Array(name.utf8) + [UInt8](repeating: 0, count: 4)
    notes += content
  }

  private static func prstatus(of vmsa: VMSA, number: UInt64) -> [UInt8] {
    var note = NoteContent(prstatusLayout)
    note.put(number, in: "pid")
    for (name, register) in general { note.put(vmsa[register], in: name) }
    for (name, register) in segments { note.put(UInt64(vmsa[register].selector), in: name) }
    note.put(vmsa[.rflags], in: "eflags")
    note.put(vmsa[.fs].base, in: "fs_base")
    note.put(vmsa[.gs].base, in: "gs_base")
    return note.bytes
  }

  private static func cpuState(of vmsa: VMSA) -> [UInt8] {
    var note = NoteContent(cpuStateLayout)
    note.put(1, in: "version")
    note.put(UInt64(cpuStateLayout.size), in: "size")
    for (name, register) in general { note.put(vmsa[register], in: name) }
    note.put(vmsa[.rflags], in: "rflags")
    for (name, register) in segments + tables { note.put(vmsa[register], in: name) }
    for (name, register) in [
      ("cr0", VMSA.Register.cr0), ("cr2", .cr2), ("cr3", .cr3), ("cr4", .cr4),
      ("kernel_gs_base", .kernelGSBase),
    ] { note.put(vmsa[register], in: name) }
    return note.bytes
  }
}

/// The bytes of a note while its fields are set by name.
private struct NoteContent {
  private(set) var bytes: [UInt8]
  private let layout: RecordLayout

  init(_ layout: RecordLayout) {
    self.layout = layout
    bytes = [UInt8](repeating: 0, count: layout.size)
  }

  /// Sets a field that is a number.
  mutating func put(_ value: UInt64, in name: String) { put(value, in: name, at: 0, size: 8) }

  /// QEMU's form of a segment: selector, limit, flags and padding of four bytes each, then the base.
  /// The flags stand where the second word of a descriptor has them.
  mutating func put(_ segment: Segment, in name: String) {
    let attributes = UInt64(segment.attributes)
    put(UInt64(segment.selector), in: name, at: 0, size: 4)
    put(UInt64(segment.limit), in: name, at: 4, size: 4)
    put((attributes & 0xFF) << 8 | (attributes & 0xF00) << 12, in: name, at: 8, size: 4)
    put(segment.base, in: name, at: 16, size: 8)
  }

  private mutating func put(_ value: UInt64, in name: String, at offset: Int, size: Int) {
    guard let field = layout.fields.first(where: { $0.name == name }) else { return }
    for index in 0..<min(size, field.size) {
      bytes[field.offset + offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index))
    }
  }
}
