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
    try self.init(apicID: apicID, vmpl: 2, vmsa: CPUSection(state).guestRegisters(over: reset))
  }
}

extension VMSA {
  /// The registers of a `cpu` section as they are in it; zero where it has none.
  /// - Parameter state: the section, decoded by its description.
  /// - Throws: `VCPU-SYNTAX` when a register every x86 guest has is missing.
  package init(section state: JSON) throws(MigrationError) {
    self = try CPUSection(state).registers(over: VMSA())
  }
}

extension MachineState {
  /// The registers of each vCPU as its `cpu` section has them, before an import adapts them to SNP;
  /// nil for a section of an unknown version.
  package func savedRegisters() throws(MigrationError) -> [VMSA?] {
    var saved: [VMSA?] = []
    for case .section(let header, let body) in entries where header.name == "cpu" {
      saved.append(
        try Self.section(header, body).map { (section) throws(MigrationError) in
          try section.registers(over: VMSA())
        })
    }
    return saved
  }

  /// The part of a `cpu` section that every QEMU writes; nil for a section of an unknown version.
  /// - Throws: `MACHINE-SYNTAX`.
  private static func section(
    _ header: SectionHeader, _ body: [UInt8]
  ) throws(MigrationError) -> CPUSection? {
    let fixed = VMDescription.Body.x86CPU
    guard header.version == VMDescription.Body.x86CPUVersion else { return nil }
    guard let size = fixed.size, body.count >= size else {
      throw MigrationError(
        .machineSyntax, "registers of a vCPU are cut off", in: .machine,
        expected: "cpu \(header.instance)", got: "\(body.count) bytes")
    }
    var budget = ElementBudget(bytes: size)
    return CPUSection(try fixed.decode(body.span.extracting(first: size), at: 0, &budget))
  }

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
      guard let section = try Self.section(header, body) else { continue }
      let vmsa = vcpus[found].vmsa
      guard try section.guestRegisters(over: VMSA(vmsa)) == vmsa else {
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
  /// A VMSA page with which an SNP guest can run: the registers of the section with EFER.SVME, which
  /// hardware requires and QEMU does not set, and everything else from `base`.
  /// - Throws: `VCPU-SYNTAX` when a register every x86 guest has is missing.
  fileprivate func guestRegisters(over base: VMSA) throws(MigrationError) -> [UInt8] {
    var vmsa = try registers(over: base)
    vmsa.efer |= 1 << 12
    return vmsa.bytes
  }

  /// A VMSA page with the registers of the section, and everything else from `base`.
  /// - Throws: `VCPU-SYNTAX` when a register every x86 guest has is missing.
  fileprivate func registers(over base: VMSA) throws(MigrationError) -> VMSA {
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
    return vmsa
  }
}
