import Errors
import SEVSNP
import TestSupport
import Testing
import Wire

@Suite struct VMSATests {
  private let cpu = CPUIdentity(family: 0x19, model: 0x01, stepping: 1)

  /// Offsets of Linux's struct sev_es_save_area (arch/x86/include/asm/svm.h).
  @Test(arguments: [
    ("VMPL", 0x0CA, 1), ("CPL", 0x0CB, 1), ("EFER", 0x0D0, 8), ("XSS", 0x140, 8),
    ("CR4", 0x148, 8), ("CR3", 0x150, 8), ("CR0", 0x158, 8), ("DR7", 0x160, 8), ("DR6", 0x168, 8),
    ("RFLAGS", 0x170, 8), ("RIP", 0x178, 8), ("RSP", 0x1D8, 8), ("RAX", 0x1F8, 8),
    ("STAR", 0x200, 8), ("KERNEL_GS_BASE", 0x220, 8), ("CR2", 0x240, 8), ("G_PAT", 0x268, 8),
    ("PKRU", 0x2E8, 4), ("TSC_AUX", 0x2EC, 4), ("GUEST_TSC_SCALE", 0x2F0, 8),
    ("GUEST_TSC_OFFSET", 0x2F8, 8), ("REG_PROT_NONCE", 0x300, 8), ("RCX", 0x308, 8),
    ("RDX", 0x310, 8), ("RBX", 0x318, 8), ("RBP", 0x328, 8), ("R8", 0x340, 8), ("R15", 0x378, 8),
    ("SEV_FEATURES", 0x3B0, 8), ("VINTR_CTRL", 0x3B8, 8), ("GUEST_EXIT_CODE", 0x3C0, 8),
    ("VIRTUAL_TOM", 0x3C8, 8), ("XCR0", 0x3E8, 8), ("X87_DP", 0x400, 8), ("MXCSR", 0x408, 4),
    ("X87_FCW", 0x410, 2), ("X87_ST", 0x420, 80), ("XMM", 0x470, 256), ("YMM_HIGH", 0x570, 256),
    ("LBR_STACK", 0x670, 256), ("ZMM_HIGH", 0x9C0, 512), ("CHECKSUM", 0xFC0, 64),
  ])
  func aRegisterStandsWhereHardwareHasIt(name: String, offset: Int, size: Int) {
    #expect(VMSA.Layout.range(of: name) == offset..<offset + size)
  }

  @Test func aRegisterIsWrittenToItsSlotAndNoFurther() {
    let value: UInt64 = 0x1122_3344_5566_7788
    var page = VMSA.reset(vmpl: 2, cpu: cpu)
    var bytes = page.bytes
    (page.cpl, page.rip, page.pkru, page.x87FCW) = (value, value, value, value)
    for (offset, size) in [(0x0CB, 1), (0x178, 8), (0x2E8, 4), (0x410, 2)] {
      for index in 0..<size {
        bytes[offset + index] = UInt8(truncatingIfNeeded: value >> (8 * index))
      }
    }
    #expect(page.bytes == bytes)
    #expect(page.cpl == 0x88 && page.rip == value)
    #expect(page.pkru == 0x5566_7788 && page.x87FCW == 0x7788)
  }

  @Test func aResetProcessorStandsAtTheVector() throws {
    let page = VMSA.reset(vmpl: 2, cpu: cpu)
    #expect(page.bytes.count == VMSA.Layout.size)
    #expect(page.cs.base.value + page.rip == 0xFFFF_FFF0)
    #expect(page.cs.selector.value == 0xF000)
    #expect(
      Array(page.bytes[0x10..<0x20]) == [
        0, 0xF0, 0x9B, 0, 0xFF, 0xFF, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0, 0, 0,
      ])
    #expect(page.efer == 0x1000)
    #expect(page.rdx == 0x00A0_0F11)
    #expect(page.features.setBits == ["SNPActive"])
    try page.validateForImport(expectedVMPL: 2, expectedFeatures: .snp)
    #expect(try VMSA(page.bytes) == page)
  }

  typealias Change = @Sendable (inout VMSA) -> Void

  static let changes: [(change: Change, refusal: ErrorCode?)] = [
    ({ $0.vmpl = 0 }, .vcpuVMPL), ({ $0.vmpl = 1 }, .vcpuVMPL),
    ({ $0.vmpl = 255 }, .vcpuVMPL), ({ $0.efer = 0xD00 }, .vcpuEFER),
    ({ $0.features = SEVFeatures(rawValue: 0) }, .vcpuFeatures),
    ({ $0.features = SEVFeatures(rawValue: 0x9) }, .vcpuFeatures),
    ({ $0.features = SEVFeatures(rawValue: 0x4001) }, .vcpuFeatures), ({ $0.rax = 1 }, nil),
  ]

  @Test(arguments: changes)
  func anImportedProcessorIsCheckedAgain(
    change: Change, refusal: ErrorCode?
  ) {
    var page = VMSA.longMode(vmpl: 2, cr3: 0x1000, rip: 0x10_0000, rsp: 0x8_0000)
    change(&page)
    #expect(
      refusalCode { try page.validateForImport(expectedVMPL: 2, expectedFeatures: .snp) } == refusal
    )
  }

  @Test func levelZeroAndTweakedRegistersAreNeverImported() {
    let page = VMSA.reset(vmpl: 0, cpu: cpu)
    #expect(
      refusalCode { try page.validateForImport(expectedVMPL: 0, expectedFeatures: .snp) }
        == .vcpuVMPL)
    let features = SEVFeatures(rawValue: 0x4001)
    let tweaked = VMSA.reset(vmpl: 1, features: features, cpu: cpu)
    #expect(
      refusalCode { try tweaked.validateForImport(expectedVMPL: 1, expectedFeatures: features) }
        == .vcpuFeatures)
  }

  @Test func valuesCoverThePageAndDoNotClaimTweakedRegisters() throws {
    var page = VMSA.reset(vmpl: 1, cpu: cpu)
    let plain = page.values()
    #expect(plain.allSatisfy { $0.isPlain })
    #expect(plain.first { $0.name == "RIP" }?.number == 0xFFF0)
    #expect(plain.first { $0.name == "CS" }?.number == nil)
    #expect(!plain.contains { $0.name.hasPrefix("reserved") })
    page.features = SEVFeatures(rawValue: 0x4001)
    #expect(
      page.values().filter(\.isPlain).map(\.name) == ["VMPL", "REG_PROT_NONCE", "SEV_FEATURES"])
    // The bitmap says RIP (quadword 0x2F) alone is tweaked.
    var bitmap = [UInt8](repeating: 0, count: 64)
    bitmap[0x2F / 8] = 1 << (0x2F % 8)
    #expect(page.values(tweakBitmap: bitmap).filter { !$0.isPlain }.map(\.name) == ["RIP"])
  }

  @Test(arguments: [0, 4095, 4097])
  func anotherLengthIsNoVMSA(length: Int) {
    #expect(refusalCode { _ = try VMSA([UInt8](repeating: 0, count: length)) } == .vcpuSyntax)
  }
}
