internal import Errors
package import SEVSNP
package import Wire

/// The plaintext of a final record that holds a vCPU.
package enum VCPUPlaintext {
  /// The whole plaintext.
  package struct Layout: WireRecord {
    package static let name = "vcpu"

    /// Unique in the guest.
    package var apicId: BE32
    /// Privilege level the guest runs at, 1 to 3.
    package var vmpl: U8
    /// Zero.
    package var reserved: WireBytes<11>
    /// The VMSA page, in the layout of `VMSA`.
    package var vmsa: WirePart<VMSA.Layout>
  }

  static func encode(_ vcpu: VCPUState) -> [UInt8] {
    Layout(
      apicId: BE32(vcpu.apicID), vmpl: U8(vcpu.vmpl), reserved: WireBytes(),
      vmsa: WirePart(VMSA.Layout(at: 0, of: vcpu.vmsa.span))
    ).bytes
  }

  static func decode(_ bytes: Span<UInt8>) throws(MigrationError) -> VCPUState {
    var cursor = ByteCursor(bytes)
    let record = try cursor.read(Layout.self)
    guard record.reserved.isZero else {
      throw MigrationError(.vcpuSyntax, "vCPU record is not well formed")
    }
    return try VCPUState(
      apicID: record.apicId.value, vmpl: record.vmpl.value, vmsa: record.vmsa.bytes)
  }
}

/// The plaintext of a final record that holds a service.
package enum ServicePlaintext {
  /// The fixed part; the blob follows.
  package struct Layout: WireRecord {
    package static let name = "service"

    /// 1 vTPM, 2 machine; from 0x8000 private use.
    package var kind: BE16
    /// Bit 0: mandatory.
    package var flags: BE16
    /// Version of the blob's own format.
    package var version: BE32
    /// Rises with each migration.
    package var generation: BE64
    /// Bytes of the blob, at most `ServiceState.maximumSize`.
    package var length: BE32
    /// Zero.
    package var reserved: BE32
  }

  static func encode(_ service: ServiceState) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(Layout.size + service.blob.count)
    bytes.append(
      Layout(
        kind: BE16(service.kind.rawValue), flags: BE16(service.isMandatory ? 1 : 0),
        version: BE32(service.version), generation: BE64(service.generation),
        length: BE32(UInt32(service.blob.count)), reserved: BE32(0)))
    bytes += service.blob
    return bytes
  }

  static func decode(_ bytes: Span<UInt8>) throws(MigrationError) -> ServiceState {
    var cursor = ByteCursor(bytes)
    let record = try cursor.read(Layout.self)
    let (flags, length) = (record.flags.value, Int(record.length.value))
    guard flags & ~1 == 0, record.reserved.isZero, cursor.remaining == length else {
      throw MigrationError(.serviceSyntax, "service record is not well formed")
    }
    return try ServiceState(
      kind: ServiceState.Kind(rawValue: record.kind.value), isMandatory: flags == 1,
      version: record.version.value, generation: record.generation.value,
      blob: try cursor.takeArray(length))
  }
}

/// The plaintext of a final record that holds the portable part of the secrets page.
package enum SecretsPlaintext {
  /// The whole plaintext.
  package struct Layout: WireRecord {
    package static let name = "secrets"

    /// Guest-physical address of the page.
    package var gpa: BE64
    /// The facts, in the layout of `SecretsPageFacts`.
    package var facts: WirePart<SecretsPageFacts.Layout>
  }

  static func encode(gpa: UInt64, facts: SecretsPageFacts) -> [UInt8] {
    Layout(gpa: BE64(gpa), facts: WirePart(SecretsPageFacts.Layout(at: 0, of: facts.bytes.span)))
      .bytes
  }

  static func decode(
    _ bytes: Span<UInt8>
  ) throws(MigrationError) -> (gpa: UInt64, facts: SecretsPageFacts) {
    var cursor = ByteCursor(bytes)
    let record = try cursor.read(Layout.self)
    let facts = record.facts.bytes
    let span = facts.span
    var inner = ByteCursor(span, at: Layout.offset(of: \.facts, from: 0))
    return (record.gpa.value, try SecretsPageFacts(from: &inner))
  }
}
