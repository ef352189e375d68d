package import Errors
internal import Wire

extension VMSA {
  /// One field of the page, for printing.
  package struct Value: Equatable, Sendable {
    package var name: String
    /// The bytes of the slot.
    package var bytes: [UInt8]
    /// The slot as a number, when it has at most eight bytes.
    package var number: UInt64?
    /// The slot as a segment, when it is one.
    package var segment: Segment?
    /// False when the slot may be XORed with the register protection nonce, so that its content may
    /// not be the register's value.
    package var isPlain: Bool
  }

  /// Every field except the reserved ones, in page order.
  ///
  /// - Parameter tweakBitmap: the secrets page's 64 bytes that tell which slots register protection
  ///   tweaks, one bit for each eight bytes of the page, lowest first. Without it no slot of a page
  ///   under register protection is reported as plain, except those that the check itself needs.
  package func values(tweakBitmap: [UInt8]? = nil) -> [Value] {
    let isEveryPlain = !features.vmsaRegProt
    return Layout.fields.compactMap { field in
      guard !field.name.hasPrefix("reserved") else { return nil }
      let slot = bytes[field.range]
      return Value(
        name: field.name, bytes: Array(slot),
        number: slot.count <= 8 ? UInt64(bigEndianBytes: slot.reversed()) : nil,
        segment: Self.segments.first { Layout.range(of: $0) == field.range }.map { bytes[$0] },
        isPlain: isEveryPlain || Self.isPlain(field.range, tweakBitmap))
    }
  }

  /// The bytes that have no field, in page order, each run with its offset.
  package var reserved: [(offset: UInt64, bytes: [UInt8])] {
    Layout.fields.filter { $0.name.hasPrefix("reserved") }
      .map { (UInt64($0.range.lowerBound), Array(bytes[$0.range])) }
  }

  private static let segments: [any KeyPath<Layout, Segment> & Sendable] = [
    \.es, \.cs, \.ss, \.ds, \.fs, \.gs, \.gdtr, \.ldtr, \.idtr, \.tr,
  ]

  /// Slots that register protection never tweaks, because the check itself needs them.
  private static let neverTweaked = [
    Layout.range(of: \.vmpl), Layout.range(of: \.sevFeatures), Layout.range(of: \.regProtNonce),
  ]

  private static func isPlain(_ field: Range<Int>, _ bitmap: [UInt8]?) -> Bool {
    if neverTweaked.contains(field) { return true }
    guard let bitmap, 64 * bitmap.count == Layout.size else { return false }
    let slots = field.lowerBound / 8...(field.upperBound - 1) / 8
    return slots.allSatisfy { bitmap[$0 / 8] >> UInt8($0 % 8) & 1 == 0 }
  }

  /// What an SVSM checks before it lets an imported VMSA run (SVSM CREATE_VCPU, repeated after a
  /// migration): the host must not gain a vCPU at the SVSM's own level or with other features.
  ///
  /// - Parameters:
  ///   - expectedVMPL: VMPL of the guest, 1 to 3; 0 is never valid for a guest.
  ///   - expectedFeatures: SEV_FEATURES that the destination's guest runs with.
  /// - Throws: `VCPU-VMPL`, `VCPU-FEATURES`, `VCPU-EFER`. Register protection is refused with
  ///   `VCPU-FEATURES` even if it is expected: EFER cannot be checked under it, and its nonce
  ///   belongs to the source platform.
  package func validateForImport(
    expectedVMPL: UInt8, expectedFeatures: SEVFeatures
  ) throws(MigrationError) {
    guard vmpl == expectedVMPL, 1...3 ~= vmpl else {
      throw MigrationError(
        .vcpuVMPL, "vCPU would run at another privilege level than the guest's",
        at: Layout.offset(of: \.vmpl, from: 0),
        expected: "VMPL \(expectedVMPL)", got: "VMPL \(vmpl)")
    }
    guard features == expectedFeatures else {
      throw MigrationError(
        .vcpuFeatures, "vCPU has other SEV features than this guest",
        at: Layout.offset(of: \.sevFeatures, from: 0),
        expected: Hex.number(expectedFeatures.rawValue),
        got: Hex.number(features.rawValue))
    }
    guard !features.vmsaRegProt else {
      throw MigrationError(
        .vcpuFeatures, "registers of the vCPU are tweaked and cannot be checked",
        at: Layout.offset(of: \.sevFeatures, from: 0),
        expected: "VmsaRegProt clear", got: "set")
    }
    guard self.efer >> 12 & 1 == 1 else {
      throw MigrationError(
        .vcpuEFER, "EFER.SVME is clear: the vCPU cannot run",
        at: Layout.offset(of: \.efer, from: 0), expected: "bit 12 set",
        got: Hex.number(self.efer))
    }
  }
}

extension VMSA {
  /// A bootstrap processor at the reset vector, F000:FFF0 (AMD64 APM volume 2, 14.1.3), with
  /// EFER.SVME set, as hardware requires of an SNP guest.
  ///
  /// - Parameters:
  ///   - vmpl: VMPL of the guest.
  ///   - cpu: the CPU identity, which is in RDX as after a hardware reset.
  package static func reset(
    vmpl: UInt8, features: SEVFeatures = .snp, cpu: CPUIdentity
  ) -> VMSA {
    var page = base(vmpl: vmpl, features: features)
    for segment in [\VMSA.es, \.ss, \.ds, \.fs, \.gs] {
      page[keyPath: segment] = Segment(attributes: 0x93)
    }
    page.cs = Segment(selector: 0xF000, attributes: 0x9B, base: 0xFFFF_0000)
    page.efer = 0x1000
    page.cr0 = 0x6000_0010
    page.rip = 0xFFF0
    page.rdx = UInt64(cpu.leaf1)
    return page
  }

  /// A processor in 64-bit mode at CPL 0, with flat segments and paging enabled.
  ///
  /// - Parameters:
  ///   - cr3: guest-physical address of the top-level page table.
  ///   - rip: address at which it continues.
  ///   - rsp: its stack pointer.
  package static func longMode(
    vmpl: UInt8, features: SEVFeatures = .snp, cr3: UInt64, rip: UInt64, rsp: UInt64
  ) -> VMSA {
    var page = base(vmpl: vmpl, features: features)
    for segment in [\VMSA.es, \.ss, \.ds, \.fs, \.gs] {
      page[keyPath: segment] = Segment(selector: 0x10, attributes: 0xC93, limit: .max)
    }
    page.cs = Segment(selector: 0x08, attributes: 0xA9B, limit: .max)
    page.efer = 0x1D00  // SVME, NXE, LMA, LME
    page.cr0 = 0x8005_0033  // PG, AM, WP, NE, ET, MP, PE
    page.cr3 = cr3
    page.cr4 = 0x620  // OSXMMEXCPT, OSFXSR, PAE
    page.rip = rip
    page.rsp = rsp
    return page
  }

  /// The values that both states have in common.
  private static func base(vmpl: UInt8, features: SEVFeatures) -> VMSA {
    var page = VMSA()
    page.gdtr = Segment(attributes: 0)
    page.idtr = Segment(attributes: 0)
    page.ldtr = Segment(attributes: 0x82)
    page.tr = Segment(attributes: 0x8B)
    page.vmpl = vmpl
    page.features = features
    page.rflags = 0x2
    page.dr6 = 0xFFFF_0FF0
    page.dr7 = 0x400
    page.gPAT = 0x0007_0406_0007_0406
    page.xcr0 = 1
    page.mxcsr = 0x1F80
    page.x87FCW = 0x37F
    return page
  }
}
