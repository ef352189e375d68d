package import Errors
package import Wire

/// A virtual machine save area: the state of one vCPU, one 4 KiB page, all fields little-endian
/// (AMD64 APM volume 2, appendix B, "SEV-ES VMSA"; offsets in `layout`).
///
/// The slots hold plain register values unless the guest runs with `SEVFeatures.vmsaRegProt`:
/// then some are XORed with a nonce, see `values`.
package struct VMSA: Equatable, Sendable {
  /// Bytes of the page.
  package static let size = 0x1000

  package static let layout = RecordLayout(
    "vmsa",
    [
      "ES": 16, "CS": 16, "SS": 16, "DS": 16, "FS": 16, "GS": 16, "GDTR": 16, "LDTR": 16,
      "IDTR": 16, "TR": 16, "PL0_SSP": 8, "PL1_SSP": 8, "PL2_SSP": 8, "PL3_SSP": 8, "U_CET": 8,
      "reserved0": 2, "VMPL": 1, "CPL": 1, "reserved1": 4, "EFER": 8, "reserved2": 104, "XSS": 8,
      "CR4": 8, "CR3": 8, "CR0": 8, "DR7": 8, "DR6": 8, "RFLAGS": 8, "RIP": 8, "DR0": 8, "DR1": 8,
      "DR2": 8, "DR3": 8, "DR0_ADDR_MASK": 8, "DR1_ADDR_MASK": 8, "DR2_ADDR_MASK": 8,
      "DR3_ADDR_MASK": 8, "reserved3": 24, "RSP": 8, "S_CET": 8, "SSP": 8, "ISST": 8, "RAX": 8,
      "STAR": 8, "LSTAR": 8, "CSTAR": 8, "SFMASK": 8, "KERNEL_GS_BASE": 8, "SYSENTER_CS": 8,
      "SYSENTER_ESP": 8, "SYSENTER_EIP": 8, "CR2": 8, "reserved4": 32, "G_PAT": 8, "DBGCTL": 8,
      "BR_FROM": 8, "BR_TO": 8, "LASTEXCP_FROM": 8, "LASTEXCP_TO": 8, "reserved5": 80, "PKRU": 4,
      "TSC_AUX": 4, "GUEST_TSC_SCALE": 8, "GUEST_TSC_OFFSET": 8, "REG_PROT_NONCE": 8, "RCX": 8,
      "RDX": 8, "RBX": 8, "reserved6": 8, "RBP": 8, "RSI": 8, "RDI": 8, "R8": 8, "R9": 8,
      "R10": 8, "R11": 8, "R12": 8, "R13": 8, "R14": 8, "R15": 8, "reserved7": 16,
      "GUEST_EXITINFO1": 8, "GUEST_EXITINFO2": 8, "GUEST_EXITINTINFO": 8, "GUEST_NRIP": 8,
      "SEV_FEATURES": 8, "VINTR_CTRL": 8, "GUEST_EXIT_CODE": 8, "VIRTUAL_TOM": 8, "TLB_ID": 8,
      "PCPU_ID": 8, "EVENTINJ": 8, "XCR0": 8, "reserved8": 16, "X87_DP": 8, "MXCSR": 4,
      "X87_FTW": 2, "X87_FSW": 2, "X87_FCW": 2, "X87_FOP": 2, "X87_DS": 2, "X87_CS": 2,
      "X87_RIP": 8, "X87_ST": 80, "XMM": 256, "YMM_HIGH": 256, "LBR_STACK": 256, "LBR_SELECT": 8,
      "IBS": 80, "reserved9": 440, "MASK_REGISTERS": 64, "ZMM_HIGH": 512, "ZMM16_31": 1024,
      "CHECKSUM": 64,
    ])

  /// A numeric field; the raw value is its name in `layout`.
  package enum Register: String, CaseIterable, Sendable {
    case vmpl = "VMPL"
    case cpl = "CPL"
    case efer = "EFER"
    case xss = "XSS"
    case cr0 = "CR0"
    case cr2 = "CR2"
    case cr3 = "CR3"
    case cr4 = "CR4"
    case dr6 = "DR6"
    case dr7 = "DR7"
    case rflags = "RFLAGS"
    case rip = "RIP"
    case rsp = "RSP"
    case rax = "RAX"
    case rbx = "RBX"
    case rcx = "RCX"
    case rdx = "RDX"
    case rbp = "RBP"
    case rsi = "RSI"
    case rdi = "RDI"
    case r8 = "R8"
    case r9 = "R9"
    case r10 = "R10"
    case r11 = "R11"
    case r12 = "R12"
    case r13 = "R13"
    case r14 = "R14"
    case r15 = "R15"
    case star = "STAR"
    case lstar = "LSTAR"
    case cstar = "CSTAR"
    case sfmask = "SFMASK"
    case kernelGSBase = "KERNEL_GS_BASE"
    case sysenterCS = "SYSENTER_CS"
    case sysenterESP = "SYSENTER_ESP"
    case sysenterEIP = "SYSENTER_EIP"
    case gPAT = "G_PAT"
    case pkru = "PKRU"
    case tscAux = "TSC_AUX"
    case tscScale = "GUEST_TSC_SCALE"
    case tscOffset = "GUEST_TSC_OFFSET"
    case regProtNonce = "REG_PROT_NONCE"
    case sevFeatures = "SEV_FEATURES"
    case vintrCtrl = "VINTR_CTRL"
    case exitCode = "GUEST_EXIT_CODE"
    case virtualTOM = "VIRTUAL_TOM"
    case xcr0 = "XCR0"
    case mxcsr = "MXCSR"
    case fcw = "X87_FCW"
    case fsw = "X87_FSW"
    case ftw = "X87_FTW"

    /// Where it stands in the page.
    package var field: RecordLayout.Field { VMSA.fieldOf[self] ?? VMSA.layout.fields[0] }
  }

  /// A segment register or descriptor table; the raw value is its name in `layout`.
  package enum SegmentRegister: String, CaseIterable, Sendable {
    case es = "ES"
    case cs = "CS"
    case ss = "SS"
    case ds = "DS"
    case fs = "FS"
    case gs = "GS"
    case gdtr = "GDTR"
    case ldtr = "LDTR"
    case idtr = "IDTR"
    case tr = "TR"

    /// Offset in the page: sixteen bytes each, in the order of the cases.
    package var offset: Int { (Self.allCases.firstIndex(of: self) ?? 0) * 16 }
  }

  private static let fieldOf: [Register: RecordLayout.Field] =
    Register.allCases.reduce(into: [:]) { table, register in
      table[register] = layout.fields.first { $0.name == register.rawValue }
    }

  /// The page, `size` bytes.
  package private(set) var bytes: [UInt8]

  /// - Throws: `VCPU-SYNTAX` when the length is not that of a page.
  package init(_ bytes: [UInt8]) throws(MigrationError) {
    guard bytes.count == Self.size else {
      throw MigrationError(
        .vcpuSyntax, "not the length of a VMSA", expected: "\(Self.size) bytes",
        got: "\(bytes.count)")
    }
    self.bytes = bytes
  }

  /// A page of zeros.
  init() { bytes = [UInt8](repeating: 0, count: Self.size) }

  /// The slot of `register`; what is written is cut to the slot's size.
  package subscript(register: Register) -> UInt64 {
    get { load(register.field.offset, register.field.size) }
    set { store(newValue, register.field.offset, register.field.size) }
  }

  package subscript(segment: SegmentRegister) -> Segment {
    get {
      Segment(
        selector: UInt16(truncatingIfNeeded: load(segment.offset, 2)),
        attributes: UInt16(truncatingIfNeeded: load(segment.offset + 2, 2)),
        limit: UInt32(truncatingIfNeeded: load(segment.offset + 4, 4)),
        base: load(segment.offset + 8, 8))
    }
    set {
      store(UInt64(newValue.selector), segment.offset, 2)
      store(UInt64(newValue.attributes), segment.offset + 2, 2)
      store(UInt64(newValue.limit), segment.offset + 4, 4)
      store(newValue.base, segment.offset + 8, 8)
    }
  }

  /// Privilege level the vCPU runs at.
  package var vmpl: UInt8 {
    get { UInt8(truncatingIfNeeded: self[.vmpl]) }
    set { self[.vmpl] = UInt64(newValue) }
  }

  package var features: SEVFeatures {
    get { SEVFeatures(rawValue: self[.sevFeatures]) }
    set { self[.sevFeatures] = newValue.rawValue }
  }

  func load(_ offset: Int, _ size: Int) -> UInt64 {
    bytes[offset..<offset + size].reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }

  private mutating func store(_ value: UInt64, _ offset: Int, _ size: Int) {
    for index in 0..<size {
      bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index))
    }
  }
}

/// A segment as a VMSA holds it, 16 bytes.
///
///     offset  size  field
///          0     2  selector
///          2     2  attributes   bits 7:0 are descriptor bits 47:40, bits 11:8 bits 55:52
///          4     4  limit
///          8     8  base
package struct Segment: Equatable, Sendable {
  package var selector: UInt16
  package var attributes: UInt16
  package var limit: UInt32
  package var base: UInt64

  package init(selector: UInt16 = 0, attributes: UInt16, limit: UInt32 = 0xFFFF, base: UInt64 = 0) {
    self.selector = selector
    self.attributes = attributes
    self.limit = limit
    self.base = base
  }
}

/// SEV_FEATURES of a VMSA.
package struct SEVFeatures: NamedBits, Equatable {
  package var rawValue: UInt64
  package init(rawValue: UInt64) { self.rawValue = rawValue }

  package static let named: [NamedBit] = [
    .init(bit: 0, name: "SNPActive"), .init(bit: 1, name: "vTOM"),
    .init(bit: 2, name: "ReflectVC"), .init(bit: 3, name: "RestrictedInjection"),
    .init(bit: 4, name: "AlternateInjection"), .init(bit: 5, name: "DebugSwap"),
    .init(bit: 6, name: "PreventHostIBS"), .init(bit: 7, name: "SNPBTBIsolation"),
    .init(bit: 8, name: "VmplSSS"), .init(bit: 9, name: "SecureTSC"),
    .init(bit: 14, name: "VmsaRegProt"), .init(bit: 15, name: "SmtProtection"),
  ]

  /// SNPActive alone: what a guest without optional features runs with.
  package static let snp = SEVFeatures(rawValue: 1)

  package var snpActive: Bool { has(0) }
  /// Register slots are XORed with a nonce: see `VMSA.values`.
  package var vmsaRegProt: Bool { has(14) }
}
