package import Errors
package import JSON
internal import QEMUStream
package import SEVSNP
internal import Wire

extension VCPUState {
  /// The registers of a `cpu` section (QEMU `target/i386/machine.c`, `vmstate_x86_cpu`) as a VMSA.
  ///
  /// A plain QEMU guest has no VMPL and no SEV features, so it gets VMPL 2, SNPActive, and
  /// EFER.SVME, which hardware requires. Registers that the section lacks keep their reset values.
  /// State that a VMSA does not hold (MTRRs, machine-check banks, pending events) and vector
  /// registers beyond 256 bits are ignored.
  /// - Parameter state: the section, decoded by its description.
  /// - Throws: `VCPU-SYNTAX` when a register every x86 guest has is missing.
  package init(apicID: UInt32, qemu state: JSON) throws(MigrationError) {
    let cpu = CPUIdentity(family: 0x19, model: 0x01, stepping: 1)
    let reset = VMSA.reset(vmpl: 2, features: .snp, cpu: cpu)
    try self.init(apicID: apicID, vmpl: 2, vmsa: CPUSection(state).registers(over: reset))
  }
}

extension MachineState {
  /// Compares the registers in `cpu` sections, with which QEMU resumes, with the VMSAs: the k-th
  /// `cpu` section belongs to the k-th vCPU.
  ///
  /// It compares the registers that an import takes from the part of the section that every QEMU
  /// writes. Everything else in the VMSA (SEV features, VMPL, what is in subsections) is not
  /// compared. Sections of an unknown version are skipped.
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
          "sealed registers of a vCPU differ from its VMSA", "vCPU \(found)",
          "cpu \(header.instance)")
      }
    }
    guard found == 0 || found == vcpus.count else {
      throw refusal("machine has a different number of vCPUs", "\(vcpus.count)", "\(found)")
    }
  }
}

extension CPUSection {
  /// A VMSA page with the registers of the section, and everything else from `base`.
  /// - Throws: `VCPU-SYNTAX` when a register every x86 guest has is missing.
  fileprivate func registers(over base: VMSA) throws(MigrationError) -> [UInt8] {
    var vmsa = base
    let general: [VMSA.Register] = [
      \.rax, \.rcx, \.rdx, \.rbx, \.rsp, \.rbp, \.rsi, \.rdi, \.r8, \.r9, \.r10, \.r11, \.r12,
      \.r13,
      \.r14, \.r15,
    ]
    for (index, register) in general.enumerated() {
      vmsa[keyPath: register] = try required("env.regs", index)
    }
    for (name, register) in Self.required { vmsa[keyPath: register] = try required(name) }
    for (name, register) in Self.optional {
      if let value = number(name) { vmsa[keyPath: register] = value }
    }
    // Hardware requires EFER.SVME of an SNP guest, and QEMU does not set it.
    vmsa.efer |= 1 << 12
    vmsa.cpl = try required("env.hflags") & 3
    let debug: [(Int, VMSA.Register)] = [
      (0, \.dr0), (1, \.dr1), (2, \.dr2), (3, \.dr3), (6, \.dr6), (7, \.dr7),
    ]
    for (index, register) in debug { vmsa[keyPath: register] = try required("env.dr", index) }

    let segments: [VMSA.SegmentRegister] = [\.es, \.cs, \.ss, \.ds, \.fs, \.gs]
    for (index, segment) in segments.enumerated() {
      vmsa[keyPath: segment] = try Self.segment(element("env.segs", index), "env.segs")
    }
    let tables: [(String, VMSA.SegmentRegister)] = [
      ("env.gdt", \.gdtr), ("env.idt", \.idtr), ("env.ldt", \.ldtr), ("env.tr", \.tr),
    ]
    for (name, table) in tables { vmsa[keyPath: table] = try Self.segment(element(name), name) }
    putVectors("env.xmm_regs[0]", 0, to: &vmsa.xmm)
    putVectors("env.xmm_regs[1]", 2, to: &vmsa.ymmHigh)
    try putX87(&vmsa)
    return vmsa.bytes
  }
}

/// A decoded `cpu` section.
private struct CPUSection {
  static let required: [(String, VMSA.Register)] = [
    ("env.eip", \.rip), ("env.eflags", \.rflags), ("env.cr[0]", \.cr0), ("env.cr[2]", \.cr2),
    ("env.cr[3]", \.cr3), ("env.cr[4]", \.cr4), ("env.efer", \.efer), ("env.star", \.star),
    ("env.lstar", \.lstar), ("env.cstar", \.cstar), ("env.fmask", \.sfmask),
    ("env.kernelgsbase", \.kernelGSBase), ("env.sysenter_cs", \.sysenterCS),
    ("env.sysenter_esp", \.sysenterESP), ("env.sysenter_eip", \.sysenterEIP), ("env.pat", \.gPAT),
    ("env.mxcsr", \.mxcsr), ("env.fpuc", \.x87FCW), ("env.fpus_vmstate", \.x87FSW),
  ]
  static let optional: [(String, VMSA.Register)] = [
    ("env.tsc_aux", \.tscAux), ("env.xcr0", \.xcr0), ("env.xss", \.xss), ("env.pkru", \.pkru),
    ("env.fpop", \.x87FOP), ("env.fpip", \.x87RIP), ("env.fpdp", \.x87DP),
  ]

  private let state: JSON
  /// Subsections, which hold registers that QEMU saves only when they are in use.
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

  /// QEMU keeps a segment's attributes at their positions in the second word of a descriptor.
  static func segment(_ json: JSON?, _ name: String) throws(MigrationError) -> Segment {
    guard let json, let selector = number(json["selector"]), let base = number(json["base"]),
      let limit = number(json["limit"]), let flags = number(json["flags"])
    else { throw missing(name) }
    return Segment(
      selector: UInt16(truncatingIfNeeded: selector),
      attributes: UInt16(truncatingIfNeeded: flags >> 8 & 0xFF | flags >> 12 & 0xF00),
      limit: UInt32(truncatingIfNeeded: limit), base: base)
  }

  /// Writes one half of the vector registers to `field`, 16 bytes for each register.
  /// - Parameter first: index of the quadword in a register with which the half begins.
  func putVectors(_ name: String, _ first: Int, to field: inout [UInt8]) {
    for register in 0..<16 {
      let parts = element(name, register)
      for part in 0..<2 {
        guard let value = Self.number(parts?["_q_ZMMReg[\(first + part)]"]) else { continue }
        var bytes: [UInt8] = []
        bytes.append(littleEndian: value)
        let start = register * 16 + part * 8
        field.replaceSubrange(start..<start + bytes.count, with: bytes)
      }
    }
  }

  /// Writes the x87 registers. QEMU orders them by physical register, a VMSA as FXSAVE does from
  /// the top of the stack. A VMSA's tag word is the full one: two bits for each physical register,
  /// 3 for empty.
  func putX87(_ vmsa: inout VMSA) throws(MigrationError) {
    let top = Int(try required("env.fpus_vmstate") >> 11 & 7)
    let valid = try required("env.fptag_vmstate")
    var stack = vmsa.x87ST
    var tags: UInt64 = 0
    for place in 0..<8 {
      guard let bytes = Self.bytes(element("env.fpregs", place)?["tmp"]), bytes.count == 10 else {
        throw Self.missing("env.fpregs")
      }
      var cursor = ByteCursor(bytes.span)
      let (mantissa, exponent) = (try cursor.read(UInt64.self), try cursor.read(UInt16.self))
      var register: [UInt8] = []
      register.append(littleEndian: mantissa)
      register.append(littleEndian: exponent)
      let start = (place + 8 - top) % 8 * register.count
      stack.replaceSubrange(start..<start + register.count, with: register)
      let tag = valid >> UInt64(place) & 1 == 1 ? Self.tag(mantissa, exponent) : 3
      tags |= tag << UInt64(2 * place)
    }
    vmsa.x87ST = stack
    vmsa.x87FTW = tags
  }

  /// The x87 tag of a register: 0 valid, 1 zero, 2 special (AMD64 APM volume 1, 6.2.4).
  private static func tag(_ mantissa: UInt64, _ exponent: UInt16) -> UInt64 {
    let exponent = exponent & 0x7FFF
    if exponent == 0, mantissa == 0 { return 1 }
    return exponent == 0 || exponent == 0x7FFF || mantissa >> 63 == 0 ? 2 : 0
  }

  /// A number as `VMDescription.Body.decode` writes it: `0x…`, with more text after negative ones.
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
