package import Errors
package import Wire

/// The secrets page of one guest context, version 3, 4 KiB (SEV-SNP firmware ABI, "Secrets page";
/// SVSM fields as in the SVSM specification).
///
/// Keys and counters belong to one guest context on one platform and never migrate. What may
/// migrate is in `SecretsPageFacts`, and `init(facts:on:)` makes the page that a migrated guest
/// sees.
package struct SecretsPage: Equatable, Sendable {
  /// The layout of the page, little-endian.
  package struct Layout: WireRecord {
    package static let name = "secrets-page"

    /// 3.
    package var version: LE32
    /// Bit 0 is IMI_EN; the others are zero.
    package var flags: LE32
    /// CPUID leaf 1 EAX.
    package var fms: LE32
    /// Zero, like all reserved bytes.
    package var reserved0: WireBytes<4>
    package var gosvw: WireBytes<16>
    /// One key for each VMPL.
    package var vmpck0: WireBytes<32>
    package var vmpck1: WireBytes<32>
    package var vmpck2: WireBytes<32>
    package var vmpck3: WireBytes<32>
    /// Low halves of the counters. The guest OS's area begins here.
    package var messageCounters: WireList<LE32, 4>
    /// Guest-physical address of the AP jump table.
    package var apJumpTable: LE64
    package var messageCountersHigh: WireList<LE32, 4>
    package var reserved1: WireBytes<24>
    /// For the guest OS's own use.
    package var guestUsage: WireBytes<32>
    package var vmsaTweakBitmap: WireBytes<64>
    package var svsmBase: LE64
    package var svsmSize: LE64
    /// Calling area of the first vCPU.
    package var svsmCallingArea: LE64
    package var svsmMaxVersion: LE32
    package var svsmGuestVMPL: U8
    package var reserved2: WireBytes<3>
    package var tscFactor: LE32
    package var reserved3: WireBytes<3740>

    /// AMD's names keep their case in the documents; the words between them are in lower case.
    package static func fieldName(of property: String) -> String {
      if property.hasPrefix("reserved") { return property }
      let names = [
        "ap", "fms", "gosvw", "svsm", "tsc", "vmpck0", "vmpck1", "vmpck2", "vmpck3", "vmsa",
      ]
      return words(of: property).map { word in
        if names.contains(word) { return word.uppercased() }
        return word.allSatisfy(\.isUppercase) ? word : word.lowercased()
      }.joined(separator: "_")
    }
  }

  /// The only supported version.
  private static let version: UInt32 = 3
  private static let keys: [any WritableKeyPath<Layout, WireBytes<32>> & Sendable] = [
    \.vmpck0, \.vmpck1, \.vmpck2, \.vmpck3,
  ]
  private static let noMessages = [UInt64](repeating: 0, count: keys.count)

  /// IMI_EN: the guest was launched with an initial migration image.
  package var hasIMI: Bool
  /// CPUID leaf 1 EAX of the platform.
  package var fms: UInt32
  /// OS-visible workarounds: 16 bytes.
  package private(set) var gosvw: [UInt8]
  /// Four keys of 32 bytes. A wiped key is all zero.
  package private(set) var vmpcks: [[UInt8]]
  /// Number of messages sent under each key.
  package private(set) var messageCounters: [UInt64]
  /// The fields that do not depend on the guest context.
  package var facts: SecretsPageFacts

  /// A page with all counters at zero.
  /// - Throws: `SECRETS-PAGE` when a length is wrong.
  package init(
    hasIMI: Bool = false, fms: UInt32, gosvw: [UInt8], vmpcks: [[UInt8]],
    facts: SecretsPageFacts
  ) throws(MigrationError) {
    guard gosvw.count == Layout.range(of: \.gosvw).count, vmpcks.count == Self.keys.count,
      vmpcks.allSatisfy({ $0.count == Layout.range(of: \.vmpck0).count })
    else {
      throw MigrationError(.secretsPage, "a field of the secrets page has the wrong length")
    }
    self.hasIMI = hasIMI
    self.fms = fms
    self.gosvw = gosvw
    self.vmpcks = vmpcks
    messageCounters = Self.noMessages
    self.facts = facts
  }

  /// - Throws: `SECRETS-PAGE`, with the offset of the first field that does not have the required
  ///   value.
  package init(_ bytes: [UInt8]) throws(MigrationError) {
    guard bytes.count == Layout.size else {
      throw MigrationError(
        .secretsPage, "not the length of a secrets page", expected: "\(Layout.size) bytes",
        got: "\(bytes.count)")
    }
    let record = Layout(at: 0, of: bytes.span)
    guard record.version.value == Self.version else {
      throw MigrationError(
        .secretsPage, "version of the secrets page is not known",
        at: Layout.offset(of: \.version, from: 0), expected: "\(Self.version)",
        got: "\(record.version.value)")
    }
    guard record.flags.value <= 1 else {
      throw MigrationError(
        .secretsPage, "reserved flag of the secrets page is set",
        at: Layout.offset(of: \.flags, from: 0))
    }
    let reserved: [PartialKeyPath<Layout>] = [\.reserved0, \.reserved1, \.reserved2, \.reserved3]
    if let place = record.firstNonZero(in: reserved) {
      throw MigrationError(.secretsPage, "reserved byte is not zero", at: UInt64(place))
    }
    hasIMI = record.flags.value == 1
    fms = record.fms.value
    gosvw = record.gosvw.array
    vmpcks = Self.keys.map { record[keyPath: $0].array }
    messageCounters = zip(record.messageCounters.array, record.messageCountersHigh.array).map {
      UInt64($0.value) | UInt64($1.value) << 32
    }
    facts = SecretsPageFacts()
    facts.apJumpTable = record.apJumpTable.value
    facts.guestUsage = record.guestUsage.array
    facts.vmsaTweakBitmap = record.vmsaTweakBitmap.array
    facts.svsmBase = record.svsmBase.value
    facts.svsmSize = record.svsmSize.value
    facts.svsmCallingArea = record.svsmCallingArea.value
    facts.svsmMaxVersion = record.svsmMaxVersion.value
    facts.guestVMPL = record.svsmGuestVMPL.value
    facts.tscFactor = record.tscFactor.value
  }

  /// The guest's page at the destination: the destination's own keys, CPU identity and workarounds,
  /// the migrated facts, and counters at zero. Every key of a more privileged level than the
  /// guest's is wiped, and so VMPCK0 always: the guest must not be able to act as the SVSM.
  ///
  /// - Parameters:
  ///   - facts: the facts of the source's guest.
  ///   - own: the page that the destination's firmware gave this guest context.
  /// - Throws: `SECRETS-PAGE` when the facts state VMPL 0 or a VMPL above 3 for the guest.
  package init(facts: SecretsPageFacts, on own: SecretsPage) throws(MigrationError) {
    guard 1...3 ~= facts.guestVMPL else {
      throw MigrationError(
        .secretsPage, "guest cannot run at this privilege level", expected: "VMPL 1 to 3",
        got: "VMPL \(facts.guestVMPL)")
    }
    self = own
    self.facts = facts
    messageCounters = Self.noMessages
    for level in 0..<Int(facts.guestVMPL) { vmpcks[level] = WireBytes<32>().array }
  }

  /// The encoded page.
  package var bytes: [UInt8] {
    var record = Layout()
    record.version.value = Self.version
    record.flags.value = hasIMI ? 1 : 0
    record.fms.value = fms
    record.gosvw.array = gosvw
    for (field, key) in zip(Self.keys, vmpcks) { record[keyPath: field].array = key }
    record.messageCounters.array = messageCounters.map { LE32(UInt32(truncatingIfNeeded: $0)) }
    record.messageCountersHigh.array = messageCounters.map { LE32(UInt32($0 >> 32)) }
    record.apJumpTable.value = facts.apJumpTable
    record.guestUsage.array = facts.guestUsage
    record.vmsaTweakBitmap.array = facts.vmsaTweakBitmap
    record.svsmBase.value = facts.svsmBase
    record.svsmSize.value = facts.svsmSize
    record.svsmCallingArea.value = facts.svsmCallingArea
    record.svsmMaxVersion.value = facts.svsmMaxVersion
    record.svsmGuestVMPL.value = facts.guestVMPL
    record.tscFactor.value = facts.tscFactor
    return record.bytes
  }
}
