internal import SEVSNP
package import Wire

/// The registers of a vCPU in the notes of an ELF core: as Linux gives them to a debugger
/// (`NT_PRSTATUS`), and with the control registers, as QEMU's `dump-guest-memory` adds them (QEMU
/// `target/i386/arch_dump.c`). All fields are little-endian; `Formats/export.md` describes the
/// notes.
package enum ELFCoreNotes {
  /// Linux's `struct elf_prstatus` of x86-64.
  package struct ProcessStatus: WireRecord {
    package static let name = "elf-prstatus"

    /// Zero.
    package var signal: WireBytes<32>
    /// Number of the vCPU, from 1.
    package var pid: LE32
    /// Zero.
    package var times: WireBytes<76>
    package var r15: LE64
    package var r14: LE64
    package var r13: LE64
    package var r12: LE64
    package var rbp: LE64
    package var rbx: LE64
    package var r11: LE64
    package var r10: LE64
    package var r9: LE64
    package var r8: LE64
    package var rax: LE64
    package var rcx: LE64
    package var rdx: LE64
    package var rsi: LE64
    package var rdi: LE64
    /// Zero.
    package var origRax: LE64
    package var rip: LE64
    /// Selector.
    package var cs: LE64
    package var eflags: LE64
    package var rsp: LE64
    /// Selector.
    package var ss: LE64
    package var fsBase: LE64
    package var gsBase: LE64
    /// Selector, as the next three.
    package var ds: LE64
    package var es: LE64
    package var fs: LE64
    package var gs: LE64
    /// Zero: no floating-point registers.
    package var fpvalid: LE32
    /// Zero.
    package var padding: LE32
  }

  /// QEMU's `QEMUCPUState`, version 1.
  package struct CPUState: WireRecord {
    package static let name = "elf-qemu-cpu-state"

    /// 1.
    package var version: LE32
    /// Bytes of this record.
    package var size: LE32
    package var rax: LE64
    package var rbx: LE64
    package var rcx: LE64
    package var rdx: LE64
    package var rsi: LE64
    package var rdi: LE64
    package var rsp: LE64
    package var rbp: LE64
    package var r8: LE64
    package var r9: LE64
    package var r10: LE64
    package var r11: LE64
    package var r12: LE64
    package var r13: LE64
    package var r14: LE64
    package var r15: LE64
    package var rip: LE64
    package var rflags: LE64
    package var cs: NoteSegment
    package var ds: NoteSegment
    package var es: NoteSegment
    package var fs: NoteSegment
    package var gs: NoteSegment
    package var ss: NoteSegment
    package var ldt: NoteSegment
    package var tr: NoteSegment
    package var gdt: NoteSegment
    package var idt: NoteSegment
    package var cr0: LE64
    /// Zero.
    package var cr1: LE64
    package var cr2: LE64
    package var cr3: LE64
    package var cr4: LE64
    package var kernelGsBase: LE64
  }

  /// QEMU's form of a segment.
  package struct NoteSegment: WireField {
    package var selector: LE32
    package var limit: LE32
    /// Attributes, at the bit positions that they have in the second word of a segment descriptor.
    package var flags: LE32
    /// Zero.
    package var padding: LE32
    package var base: LE64

    fileprivate init(_ segment: Segment) {
      let attributes = UInt32(segment.attributes.value)
      selector = LE32(UInt32(segment.selector.value))
      limit = LE32(segment.limit.value)
      flags = LE32((attributes & 0xFF) << 8 | (attributes & 0xF00) << 12)
      padding = LE32(0)
      base = LE64(segment.base.value)
    }
  }

  /// `NT_PRSTATUS`.
  private static let prstatusType: UInt32 = 1

  /// The notes of all vCPUs in the order of QEMU: first all `NT_PRSTATUS` notes, then all QEMU
  /// notes.
  /// - Parameter vmsas: one for each vCPU, in order.
  static func encode(_ vmsas: [VMSA]) -> [UInt8] {
    var notes: [UInt8] = []
    for (index, vmsa) in vmsas.enumerated() {
      append("CORE", prstatusType, status(of: vmsa, number: UInt32(index) + 1).bytes, to: &notes)
    }
    for vmsa in vmsas { append("QEMU", 0, state(of: vmsa).bytes, to: &notes) }
    return notes
  }

  /// - Parameter name: four ASCII characters.
  private static func append(
    _ name: String, _ type: UInt32, _ content: [UInt8], to notes: inout [UInt8]
  ) {
    notes.append(littleEndian: UInt32(name.utf8.count + 1))
    notes.append(littleEndian: UInt32(content.count))
    notes.append(littleEndian: type)
    // The name ends with a NUL and is padded to whole 4-byte words; the size of either content is a
    // multiple of 4 already.
    notes += Array(name.utf8) + [UInt8](repeating: 0, count: 4)
    notes += content
  }

  private static func status(of vmsa: VMSA, number: UInt32) -> ProcessStatus {
    func selector(_ segment: Segment) -> LE64 {
      LE64(UInt64(segment.selector.value))
    }
    return ProcessStatus(
      signal: WireBytes(), pid: LE32(number), times: WireBytes(),
      r15: LE64(vmsa.r15), r14: LE64(vmsa.r14), r13: LE64(vmsa.r13), r12: LE64(vmsa.r12),
      rbp: LE64(vmsa.rbp), rbx: LE64(vmsa.rbx), r11: LE64(vmsa.r11), r10: LE64(vmsa.r10),
      r9: LE64(vmsa.r9), r8: LE64(vmsa.r8), rax: LE64(vmsa.rax), rcx: LE64(vmsa.rcx),
      rdx: LE64(vmsa.rdx), rsi: LE64(vmsa.rsi), rdi: LE64(vmsa.rdi),
      origRax: LE64(0), rip: LE64(vmsa.rip), cs: selector(vmsa.cs), eflags: LE64(vmsa.rflags),
      rsp: LE64(vmsa.rsp), ss: selector(vmsa.ss), fsBase: LE64(vmsa.fs.base.value),
      gsBase: LE64(vmsa.gs.base.value), ds: selector(vmsa.ds), es: selector(vmsa.es),
      fs: selector(vmsa.fs),
      gs: selector(vmsa.gs), fpvalid: LE32(0), padding: LE32(0))
  }

  private static func state(of vmsa: VMSA) -> CPUState {
    CPUState(
      version: LE32(1), size: LE32(UInt32(MemoryLayout<CPUState>.size)),
      rax: LE64(vmsa.rax), rbx: LE64(vmsa.rbx), rcx: LE64(vmsa.rcx), rdx: LE64(vmsa.rdx),
      rsi: LE64(vmsa.rsi), rdi: LE64(vmsa.rdi), rsp: LE64(vmsa.rsp), rbp: LE64(vmsa.rbp),
      r8: LE64(vmsa.r8), r9: LE64(vmsa.r9), r10: LE64(vmsa.r10), r11: LE64(vmsa.r11),
      r12: LE64(vmsa.r12), r13: LE64(vmsa.r13), r14: LE64(vmsa.r14), r15: LE64(vmsa.r15),
      rip: LE64(vmsa.rip), rflags: LE64(vmsa.rflags),
      cs: NoteSegment(vmsa.cs), ds: NoteSegment(vmsa.ds), es: NoteSegment(vmsa.es),
      fs: NoteSegment(vmsa.fs), gs: NoteSegment(vmsa.gs), ss: NoteSegment(vmsa.ss),
      ldt: NoteSegment(vmsa.ldtr), tr: NoteSegment(vmsa.tr), gdt: NoteSegment(vmsa.gdtr),
      idt: NoteSegment(vmsa.idtr),
      cr0: LE64(vmsa.cr0), cr1: LE64(0), cr2: LE64(vmsa.cr2), cr3: LE64(vmsa.cr3),
      cr4: LE64(vmsa.cr4), kernelGsBase: LE64(vmsa.kernelGSBase))
  }
}
