package import Errors
package import JSON
package import QEMUStream

extension VMDescription.Body {
  /// The fields of a `cpu` section, by the description of its stream or else by `x86CPU`.
  /// - Parameters:
  ///   - offset: stream offset of the body, for errors.
  ///   - described: nil for a stream without description.
  /// - Throws: `VMDESC-MISMATCH`; `VMDESC-MISSING` for a section of a version that is not known.
  package static func decodeX86CPU(
    _ header: SectionHeader, _ body: Span<UInt8>, at offset: UInt64,
    by described: DescribedSections?, _ budget: inout ElementBudget
  ) throws(MigrationError) -> JSON {
    if let described {
      guard let device = described[header] else {
        throw MigrationError(
          .vmdescriptionMismatch, "VM description lacks a section", at: header.offset)
      }
      return try device.body.decode(body, at: offset, &budget)
    }
    guard header.version == x86CPUVersion, let size = x86CPU.size, body.count >= size else {
      throw MigrationError(
        .vmdescriptionMissing, "a vCPU of this version is read by a VM description only",
        at: header.offset, expected: "a description, or \(.vmsa)", got: "version \(header.version)")
    }
    return try x86CPU.decode(body.extracting(first: size), at: offset, &budget)
  }

  /// The version of the x86 `cpu` section that `x86CPU` describes, in use since QEMU 1.1.
  package static let x86CPUVersion: UInt32 = 12

  /// The fixed part of a `cpu` section, for streams that do not describe it: QEMU
  /// `target/i386/machine.c`, `vmstate_x86_cpu`. Subsections may follow; a VMSA gets their
  /// registers only from streams that describe them.
  package static let x86CPU: VMDescription.Body = {
    typealias Field = VMDescription.Field
    let segment = VMDescription.Body(
      "segment", version: 1,
      fields: [
        Field("selector", type: "uint32", size: 4), Field("base", type: "uint64", size: 8),
        Field("limit", type: "uint32", size: 4), Field("flags", type: "uint32", size: 4),
      ])
    func numbers(_ size: UInt64, _ names: [String]) -> [Field] {
      names.map { Field("env.\($0)", type: "uint\(8 * size)", size: size) }
    }
    func vector(_ register: Int) -> Field {
      Field(
        "env.xmm_regs[\(register / 2)]", type: "struct", size: 16, run: .array(16),
        body: VMDescription.Body(
          "xmm_reg", version: 1,
          fields: (register..<register + 2).map {
            Field("_q_ZMMReg[\($0)]", type: "uint64", size: 8)
          }))
    }
    var fields = [Field("env.regs", type: "uint64", size: 8, run: .array(16))]
    fields += numbers(8, ["eip", "eflags"]) + numbers(4, ["hflags"])
    fields += numbers(2, ["fpuc", "fpus_vmstate", "fptag_vmstate", "fpregs_format_vmstate"])
    fields.append(
      Field(
        "env.fpregs", type: "struct", size: 10, run: .array(8),
        body: VMDescription.Body(
          "fpreg", version: 1, fields: [Field("tmp", type: "tmp", size: 10)])))
    fields.append(
      Field("env.segs", type: "struct", size: 20, run: .array(6), body: segment))
    for name in ["ldt", "tr", "gdt", "idt"] {
      fields.append(Field("env.\(name)", type: "struct", size: 20, body: segment))
    }
    fields += numbers(4, ["sysenter_cs"]) + numbers(8, ["sysenter_esp", "sysenter_eip"])
    fields += numbers(8, ["cr[0]", "cr[2]", "cr[3]", "cr[4]"])
    fields.append(Field("env.dr", type: "uint64", size: 8, run: .array(8)))
    fields += numbers(4, ["a20_mask", "mxcsr"]) + [vector(0)]
    fields += numbers(8, ["efer", "star", "lstar", "cstar", "fmask", "kernelgsbase"])
    fields += numbers(4, ["smbase"]) + numbers(8, ["pat"])
    return VMDescription.Body("cpu", version: x86CPUVersion, fields: fields)
  }()
}
