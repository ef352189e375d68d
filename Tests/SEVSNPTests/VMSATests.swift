import Errors
import SEVSNP
import TestSupport
import Testing
import Wire

@Suite struct VMSATests {
  private let cpu = CPUIdentity(family: 0x19, model: 0x01, stepping: 1)

  /// Offsets of Linux's struct sev_es_save_area (arch/x86/include/asm/svm.h).
  @Test(arguments: [
    (register: VMSA.Register.vmpl, offset: 0x0CA, size: 1), (.cpl, 0x0CB, 1), (.efer, 0x0D0, 8),
    (.xss, 0x140, 8), (.cr4, 0x148, 8), (.cr3, 0x150, 8), (.cr0, 0x158, 8), (.dr7, 0x160, 8),
    (.dr6, 0x168, 8), (.rflags, 0x170, 8), (.rip, 0x178, 8), (.rsp, 0x1D8, 8), (.rax, 0x1F8, 8),
    (.star, 0x200, 8), (.kernelGSBase, 0x220, 8), (.cr2, 0x240, 8), (.gPAT, 0x268, 8),
    (.pkru, 0x2E8, 4), (.tscAux, 0x2EC, 4), (.tscScale, 0x2F0, 8), (.tscOffset, 0x2F8, 8),
    (.regProtNonce, 0x300, 8), (.rcx, 0x308, 8), (.rdx, 0x310, 8), (.rbx, 0x318, 8),
    (.rbp, 0x328, 8), (.r8, 0x340, 8), (.r15, 0x378, 8), (.sevFeatures, 0x3B0, 8),
    (.vintrCtrl, 0x3B8, 8), (.exitCode, 0x3C0, 8), (.virtualTOM, 0x3C8, 8), (.xcr0, 0x3E8, 8),
    (.mxcsr, 0x408, 4), (.fcw, 0x410, 2),
  ])
  func aRegisterStandsWhereHardwareHasIt(register: VMSA.Register, offset: Int, size: Int) throws {
    #expect(register.field.offset == offset)
    #expect(register.field.size == size)
    var page = VMSA.reset(vmpl: 2, cpu: cpu)
    page[register] = 0x1122_3344_5566_7788
    let expected = (0..<size).map { UInt8(truncatingIfNeeded: 0x1122_3344_5566_7788 >> (8 * $0)) }
    #expect(Array(page.bytes[offset..<offset + size]) == expected)
    #expect(page[register] == 0x1122_3344_5566_7788 & UInt64.max >> UInt64(64 - 8 * size))
  }

  @Test func theLayoutFillsThePage() {
    #expect(VMSA.layout.size == VMSA.size)
    for register in VMSA.Register.allCases {
      #expect(register.field.name == register.rawValue)
    }
    for segment in VMSA.SegmentRegister.allCases {
      #expect(VMSA.layout.fields.first { $0.name == segment.rawValue }?.offset == segment.offset)
    }
    let places = [
      "X87_DP": 0x400, "X87_ST": 0x420, "XMM": 0x470, "YMM_HIGH": 0x570,
      "LBR_STACK": 0x670, "ZMM_HIGH": 0x9C0, "CHECKSUM": 0xFC0,
    ]
    for (name, offset) in places {
      #expect(VMSA.layout.fields.first { $0.name == name }?.offset == offset)
    }
  }

  @Test func aResetProcessorStandsAtTheVector() throws {
    let page = VMSA.reset(vmpl: 2, cpu: cpu)
    #expect(page.bytes.count == VMSA.size)
    #expect(page[.cs].base + page[.rip] == 0xFFFF_FFF0)
    #expect(page[.cs].selector == 0xF000)
    #expect(
      Array(page.bytes[0x10..<0x20]) == [
        0, 0xF0, 0x9B, 0, 0xFF, 0xFF, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0, 0, 0,
      ])
    #expect(page[.efer] == 0x1000)
    #expect(page[.rdx] == 0x00A0_0F11)
    #expect(page.features.setBits == ["SNPActive"])
    try page.validateForImport(expectedVMPL: 2, expectedFeatures: .snp)
    #expect(try VMSA(page.bytes) == page)
  }

  typealias Change = @Sendable (inout VMSA) -> Void

  static let changes: [(change: Change, refusal: ErrorCode?)] = [
    ({ $0.vmpl = 0 }, .vcpuVMPL), ({ $0.vmpl = 1 }, .vcpuVMPL),
    ({ $0.vmpl = 255 }, .vcpuVMPL), ({ $0[.efer] = 0xD00 }, .vcpuEFER),
    ({ $0.features = SEVFeatures(rawValue: 0) }, .vcpuFeatures),
    ({ $0.features = SEVFeatures(rawValue: 0x9) }, .vcpuFeatures),
    ({ $0.features = SEVFeatures(rawValue: 0x4001) }, .vcpuFeatures), ({ $0[.rax] = 1 }, nil),
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
