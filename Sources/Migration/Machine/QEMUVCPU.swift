package import Errors
package import JSON
internal import QEMUStream
package import SEVSNP
internal import Wire

extension VCPUState {
  /// The registers of a `cpu` section (QEMU `target/i386/machine.c`, `vmstate_x86_cpu`) as a VMSA.
  ///
  /// A plain QEMU guest has no VMPL and no SEV features: it gets VMPL 2, SNPActive, and EFER.SVME,
  /// which hardware demands. Registers that the section does not have keep their values after
  /// reset. What a VMSA does not hold (MTRRs, machine-check banks, pending events) and vector
  /// registers beyond 256 bits are not taken.
  /// - Parameter state: the section, decoded by its description.
  /// - Throws: `VCPU-SYNTAX` when a register every x86 guest has is missing.
  package init(apicID: UInt32, qemu state: JSON) throws(MigrationError) {
    let cpu = CPUIdentity(family: 0x19, model: 0x01, stepping: 1)
    let reset = VMSA.reset(vmpl: 2, features: .snp, cpu: cpu)
    try self.init(apicID: apicID, vmpl: 2, vmsa: CPUSection(state).registers(over: reset))
  }
}

extension MachineState {
  /// Holds the registers in `cpu` sections, which QEMU resumes with, against the VMSAs: the section of
  /// number k among them belongs to the vCPU of number k.
  ///
  /// Compared is what an import takes from the part of the section that every QEMU writes: fields that
  /// the VMSA has otherwise (SEV features, levels, what is in subsections) are left as the VMSA says. A
  /// version that is not known is not looked into.
  /// - Throws: `MACHINE-SYNTAX`.
  package func requireRegisters(of vcpus: [VCPUState]) throws(MigrationError) {
    func refusal(_ what: String, _ expected: String, _ got: String) -> MigrationError {
      MigrationError(.machineSyntax, what, in: .machine, expected: expected, got: got)
    }
    var found = 0
    for case .section(let header, let body) in entries where header.name == "cpu" {
      defer { found += 1 }
      guard found < vcpus.count else { continue }
      let fixed = VMDescription.Body.x86CPU
      guard header.version == VMDescription.Body.x86CPUVersion else { continue }
      guard let size = fixed.size, body.count >= size else {
        throw refusal(
          "registers of a vCPU are cut off", "cpu \(header.instance)", "\(body.count) bytes")
      }
      let vmsa = vcpus[found].vmsa
      var budget = ElementBudget(bytes: size)
      let section = CPUSection(
        try fixed.decode(body.span.extracting(first: size), at: 0, &budget))
      guard try section.registers(over: VMSA(vmsa)) == vmsa else {
        throw refusal(
          "sealed registers of a vCPU are not those of its VMSA", "vCPU \(found)",
          "cpu \(header.instance)")
      }
    }
    guard found == 0 || found == vcpus.count else {
      throw refusal("machine has another number of vCPUs", "\(vcpus.count)", "\(found)")
    }
  }
}

extension CPUSection {
  /// A VMSA page with the registers of the section, and all else as `base` has it.
  /// - Throws: `VCPU-SYNTAX` when a register every x86 guest has is missing.
  fileprivate func registers(over base: VMSA) throws(MigrationError) -> [UInt8] {
    let section = self
    var vmsa = base
    let general: [VMSA.Register] = [
      .rax, .rcx, .rdx, .rbx, .rsp, .rbp, .rsi, .rdi, .r8, .r9, .r10, .r11, .r12, .r13, .r14, .r15,
    ]
    for (index, register) in general.enumerated() {
      vmsa[register] = try section.required("env.regs", index)
    }
    for (name, register) in CPUSection.required {
      vmsa[register] = try section.required(name)
    }
    for (name, register) in CPUSection.optional {
      if let value = section.number(name) { vmsa[register] = value }
    }
    // Hardware demands it of a guest, and QEMU knows nothing of it.
    vmsa[.efer] |= 1 << 12
    vmsa[.cpl] = try section.required("env.hflags") & 3
    vmsa[.dr6] = try section.required("env.dr", 6)
    vmsa[.dr7] = try section.required("env.dr", 7)

    let segments: [VMSA.SegmentRegister] = [.es, .cs, .ss, .ds, .fs, .gs]
    for (index, segment) in segments.enumerated() {
      vmsa[segment] = try CPUSection.segment(section.element("env.segs", index), "env.segs")
    }
    for (name, table) in [
      ("env.gdt", VMSA.SegmentRegister.gdtr), ("env.idt", .idtr), ("env.ldt", .ldtr),
      ("env.tr", .tr),
    ] { vmsa[table] = try CPUSection.segment(section.element(name), name) }

    var page = VMSAPage(vmsa.bytes)
    for index in 0..<4 {
      page.put(try section.required("env.dr", index), in: "DR\(index)", at: 0, size: 8)
    }
    section.putVectors(&page)
    try section.putX87(&page)
    return page.bytes
  }
}

/// A VMSA page whose fields are written by name, those that `VMSA` has no register for included.
private struct VMSAPage {
  var bytes: [UInt8]

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// Writes a little-endian number of `size` bytes at `offset` of the field.
  mutating func put(_ value: UInt64, in name: String, at offset: Int, size: Int) {
    guard let field = VMSA.layout.fields.first(where: { $0.name == name }) else { return }
    for index in 0..<size {
      bytes[field.offset + offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index))
    }
  }
}

/// A decoded `cpu` section.
private struct CPUSection {
  static let required: [(String, VMSA.Register)] = [
    ("env.eip", .rip), ("env.eflags", .rflags), ("env.cr[0]", .cr0), ("env.cr[2]", .cr2),
    ("env.cr[3]", .cr3), ("env.cr[4]", .cr4), ("env.efer", .efer), ("env.star", .star),
    ("env.lstar", .lstar), ("env.cstar", .cstar), ("env.fmask", .sfmask),
    ("env.kernelgsbase", .kernelGSBase), ("env.sysenter_cs", .sysenterCS),
    ("env.sysenter_esp", .sysenterESP), ("env.sysenter_eip", .sysenterEIP), ("env.pat", .gPAT),
    ("env.mxcsr", .mxcsr), ("env.fpuc", .fcw), ("env.fpus_vmstate", .fsw),
  ]
  static let optional: [(String, VMSA.Register)] = [
    ("env.tsc_aux", .tscAux), ("env.xcr0", .xcr0), ("env.xss", .xss), ("env.pkru", .pkru),
  ]

  private let state: JSON
  /// Subsections: registers that a stream has only when they are in use.
  private let subsections: [JSON]

  init(_ state: JSON) {
    self.state = state
    subsections = (state.members ?? []).filter { $0.key.hasPrefix("cpu/") }.map(\.value)
  }

  /// A register of the section or of one of its subsections.
  func number(_ name: String) -> UInt64? {
    if let value = Self.number(state[name]) { return value }
    for subsection in subsections {
      if let value = Self.number(subsection[name]) { return value }
    }
    return nil
  }

  func required(_ name: String) throws(MigrationError) -> UInt64 {
    guard let value = number(name) else { throw Self.missing(name) }
    return value
  }

  func required(_ name: String, _ index: Int) throws(MigrationError) -> UInt64 {
    guard let value = Self.number(element(name, index)) else { throw Self.missing(name) }
    return value
  }

  func element(_ name: String) -> JSON? { state[name] }

  func element(_ name: String, _ index: Int) -> JSON? {
    guard let elements = state[name]?.array, index < elements.count else { return nil }
    return elements[index]
  }

  /// QEMU keeps a segment's attributes where the second word of a descriptor has them.
  static func segment(_ json: JSON?, _ name: String) throws(MigrationError) -> Segment {
    guard let json, let selector = number(json["selector"]), let base = number(json["base"]),
      let limit = number(json["limit"]), let flags = number(json["flags"])
    else { throw missing(name) }
    return Segment(
      selector: UInt16(truncatingIfNeeded: selector),
      attributes: UInt16(truncatingIfNeeded: flags >> 8 & 0xFF | flags >> 12 & 0xF00),
      limit: UInt32(truncatingIfNeeded: limit), base: base)
  }

  /// XMM and the upper halves of YMM.
  func putVectors(_ page: inout VMSAPage) {
    for (name, field, first) in [("env.xmm_regs[0]", "XMM", 0), ("env.xmm_regs[1]", "YMM_HIGH", 2)]
    {
      for register in 0..<16 {
        let parts = element(name, register)
        for part in 0..<2 {
          guard let value = Self.number(parts?["_q_ZMMReg[\(first + part)]"]) else { continue }
          page.put(value, in: field, at: register * 16 + part * 8, size: 8)
        }
      }
    }
  }

  /// The x87: QEMU numbers registers by place, a VMSA as FXSAVE does from the top of the stack. A
  /// VMSA's tag word is the long one: two bits a place, 3 for empty.
  func putX87(_ page: inout VMSAPage) throws(MigrationError) {
    let top = Int(try required("env.fpus_vmstate") >> 11 & 7)
    let valid = try required("env.fptag_vmstate")
    var tags: UInt64 = 0
    for place in 0..<8 {
      guard let bytes = Self.bytes(element("env.fpregs", place)?["tmp"]), bytes.count == 10 else {
        throw Self.missing("env.fpregs")
      }
      let mantissa = bytes[..<8].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
      let exponent = UInt64(bytes[8]) << 8 | UInt64(bytes[9])
      let offset = (place + 8 - top) % 8 * 10
      page.put(mantissa, in: "X87_ST", at: offset, size: 8)
      page.put(exponent, in: "X87_ST", at: offset + 8, size: 2)
      let tag = valid >> UInt64(place) & 1 == 1 ? Self.tag(mantissa, exponent) : 3
      tags |= tag << UInt64(2 * place)
    }
    page.put(tags, in: "X87_FTW", at: 0, size: 2)
    for (name, field, size) in [
      ("env.fpop", "X87_FOP", 2), ("env.fpip", "X87_RIP", 8), ("env.fpdp", "X87_DP", 8),
    ] { if let value = number(name) { page.put(value, in: field, at: 0, size: size) } }
  }

  /// 0 valid, 1 zero, 2 special (AMD64 APM volume 1, 6.2.4).
  private static func tag(_ mantissa: UInt64, _ exponent: UInt64) -> UInt64 {
    let exponent = exponent & 0x7FFF
    if exponent == 0, mantissa == 0 { return 1 }
    return exponent == 0 || exponent == 0x7FFF || mantissa >> 63 == 0 ? 2 : 0
  }

  /// A number as `VMDescription.Body.decode` spells it: `0x…`, negative ones with more behind.
  private static func number(_ json: JSON?) -> UInt64? {
    guard let text = json?.string, text.hasPrefix("0x") else { return nil }
    return UInt64(text.dropFirst(2).prefix { $0 != " " }, radix: 16)
  }

  private static func bytes(_ json: JSON?) -> [UInt8]? {
    json?.string.flatMap { Hex.decode($0.filter { $0 != " " }) }
  }

  private static func missing(_ name: String) -> MigrationError {
    MigrationError(.vcpuSyntax, "section has no register \(name)")
  }
}
