package import Errors
package import Wire

/// A virtual machine save area: the state of one vCPU in one 4 KiB page, with all fields
/// little-endian.
///
/// Each field of `Layout` is read and written as a property of the page: `page.rip`,
/// `page.cs.selector`, `page.xmm`. The slots hold plain register values, unless the guest runs with
/// `SEVFeatures.vmsaRegProt`: then some slots are XORed with a nonce, see `values`.
@dynamicMemberLookup
package struct VMSA: Equatable, Sendable {
  /// A register, for tables of them.
  package typealias Register = any WritableKeyPath<VMSA, UInt64> & Sendable
  /// A segment register or descriptor table, for tables of them.
  package typealias SegmentRegister = any WritableKeyPath<VMSA, Segment> & Sendable

  /// The bytes of the page: `Layout.size`.
  package private(set) var bytes: [UInt8]

  /// - Throws: `VCPU-SYNTAX` when the length is not that of a page.
  package init(_ bytes: [UInt8]) throws(MigrationError) {
    guard bytes.count == Layout.size else {
      throw MigrationError(
        .vcpuSyntax, "not the length of a VMSA", expected: "\(Layout.size) bytes",
        got: "\(bytes.count)")
    }
    self.bytes = bytes
  }

  /// A page of zeros.
  package init() { bytes = [UInt8](repeating: 0, count: Layout.size) }

  // There is one subscript for each size, because the compiler cannot handle a key path through a
  // generic one.

  /// The slot of a register.
  package subscript(dynamicMember field: KeyPath<Layout, LE64>) -> UInt64 {
    get { bytes[field].value }
    set { bytes[field].value = newValue }
  }

  /// The slot of a register. A value that is written is truncated to the slot's size, as in the
  /// next two.
  package subscript(dynamicMember field: KeyPath<Layout, LE32>) -> UInt64 {
    get { UInt64(bytes[field].value) }
    set { bytes[field] = LE32(UInt32(truncatingIfNeeded: newValue)) }
  }

  package subscript(dynamicMember field: KeyPath<Layout, LE16>) -> UInt64 {
    get { UInt64(bytes[field].value) }
    set { bytes[field] = LE16(UInt16(truncatingIfNeeded: newValue)) }
  }

  package subscript(dynamicMember field: KeyPath<Layout, U8>) -> UInt64 {
    get { UInt64(bytes[field].value) }
    set { bytes[field] = U8(UInt8(truncatingIfNeeded: newValue)) }
  }

  /// A segment register or descriptor table.
  package subscript(dynamicMember field: KeyPath<Layout, Segment>) -> Segment {
    get { bytes[field] }
    set { bytes[field] = newValue }
  }

  /// Registers that are stored consecutively. A new value must have exactly their size.
  package subscript<let size: Int>(
    dynamicMember field: KeyPath<Layout, WireBytes<size>>
  ) -> [UInt8] {
    get { bytes[field].array }
    set { bytes[field].array = newValue }
  }

  /// VMPL that the vCPU runs at.
  package var vmpl: UInt8 {
    get { bytes[\Layout.vmpl].value }
    set { bytes[\Layout.vmpl].value = newValue }
  }

  /// `SEV_FEATURES`.
  package var features: SEVFeatures {
    get { SEVFeatures(rawValue: self.sevFeatures) }
    set { self.sevFeatures = newValue.rawValue }
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

  /// SNPActive alone, for a guest without optional features.
  package static let snp = SEVFeatures(rawValue: 1)

  /// Whether register slots are XORed with a nonce: see `VMSA.values`.
  package var vmsaRegProt: Bool { has(14) }
}
