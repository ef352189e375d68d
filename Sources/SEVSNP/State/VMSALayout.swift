package import Wire

extension VMSA {
  /// The layout of the page (AMD64 APM volume 2, appendix B, "SEV-ES VMSA"). Reserved bytes are not
  /// checked.
  package struct Layout: WireRecord {
    package static let name = "vmsa"

    package var es: Segment
    package var cs: Segment
    package var ss: Segment
    package var ds: Segment
    package var fs: Segment
    package var gs: Segment
    package var gdtr: Segment
    package var ldtr: Segment
    package var idtr: Segment
    package var tr: Segment
    package var pl0SSP: LE64
    package var pl1SSP: LE64
    package var pl2SSP: LE64
    package var pl3SSP: LE64
    package var uCET: LE64
    package var reserved0: WireBytes<2>
    /// VMPL that the vCPU runs at.
    package var vmpl: U8
    package var cpl: U8
    package var reserved1: WireBytes<4>
    /// Bit 12 is SVME.
    package var efer: LE64
    package var reserved2: WireBytes<104>
    package var xss: LE64
    package var cr4: LE64
    package var cr3: LE64
    package var cr0: LE64
    package var dr7: LE64
    package var dr6: LE64
    package var rflags: LE64
    package var rip: LE64
    package var dr0: LE64
    package var dr1: LE64
    package var dr2: LE64
    package var dr3: LE64
    package var dr0AddrMask: LE64
    package var dr1AddrMask: LE64
    package var dr2AddrMask: LE64
    package var dr3AddrMask: LE64
    package var reserved3: WireBytes<24>
    package var rsp: LE64
    package var sCET: LE64
    package var ssp: LE64
    package var isst: LE64
    package var rax: LE64
    package var star: LE64
    package var lstar: LE64
    package var cstar: LE64
    package var sfmask: LE64
    package var kernelGSBase: LE64
    package var sysenterCS: LE64
    package var sysenterESP: LE64
    package var sysenterEIP: LE64
    package var cr2: LE64
    package var reserved4: WireBytes<32>
    package var gPAT: LE64
    package var dbgctl: LE64
    package var brFrom: LE64
    package var brTo: LE64
    package var lastexcpFrom: LE64
    package var lastexcpTo: LE64
    package var reserved5: WireBytes<80>
    package var pkru: LE32
    package var tscAux: LE32
    /// In use with SecureTSC, like the offset.
    package var guestTSCScale: LE64
    package var guestTSCOffset: LE64
    /// The nonce that register slots are XORed with under VmsaRegProt.
    package var regProtNonce: LE64
    package var rcx: LE64
    package var rdx: LE64
    package var rbx: LE64
    package var reserved6: WireBytes<8>
    package var rbp: LE64
    package var rsi: LE64
    package var rdi: LE64
    package var r8: LE64
    package var r9: LE64
    package var r10: LE64
    package var r11: LE64
    package var r12: LE64
    package var r13: LE64
    package var r14: LE64
    package var r15: LE64
    package var reserved7: WireBytes<16>
    package var guestExitinfo1: LE64
    package var guestExitinfo2: LE64
    package var guestExitintinfo: LE64
    package var guestNRIP: LE64
    /// See `SEVFeatures`.
    package var sevFeatures: LE64
    package var vintrCtrl: LE64
    package var guestExitCode: LE64
    /// In use with vTOM.
    package var virtualTOM: LE64
    package var tlbID: LE64
    package var pcpuID: LE64
    package var eventinj: LE64
    package var xcr0: LE64
    package var reserved8: WireBytes<16>
    /// Last data pointer.
    package var x87DP: LE64
    package var mxcsr: LE32
    /// The full tag word: two bits for each register.
    package var x87FTW: LE16
    package var x87FSW: LE16
    package var x87FCW: LE16
    package var x87FOP: LE16
    package var x87DS: LE16
    package var x87CS: LE16
    package var x87RIP: LE64
    /// ST0 to ST7, 10 bytes each.
    package var x87ST: WireBytes<80>
    /// XMM0 to XMM15, 16 bytes each.
    package var xmm: WireBytes<256>
    /// High halves of YMM0 to YMM15.
    package var ymmHigh: WireBytes<256>
    package var lbrStack: WireBytes<256>
    package var lbrSelect: LE64
    package var ibs: WireBytes<80>
    package var reserved9: WireBytes<440>
    /// K0 to K7.
    package var maskRegisters: WireBytes<64>
    /// High halves of ZMM0 to ZMM15.
    package var zmmHigh: WireBytes<512>
    package var zmm16To31: WireBytes<1024>
    /// Checksum of the firmware.
    package var checksum: WireBytes<64>

    /// The name in AMD's spelling.
    package static func fieldName(of property: String) -> String {
      property == "zmm16To31" ? "ZMM16_31" : upperCaseName(of: property)
    }
  }
}

/// A segment register or descriptor table in a VMSA: 16 bytes, little-endian.
package struct Segment: WireField, Equatable {
  package var selector: LE16
  /// Bits 7:0 are bits 47:40 of the descriptor, bits 11:8 its bits 55:52.
  package var attributes: LE16
  package var limit: LE32
  package var base: LE64

  package init(selector: UInt16 = 0, attributes: UInt16, limit: UInt32 = 0xFFFF, base: UInt64 = 0) {
    self.selector = LE16(selector)
    self.attributes = LE16(attributes)
    self.limit = LE32(limit)
    self.base = LE64(base)
  }
}
