package import Errors
package import Wire

/// The secrets page of one guest context, version 3 (SEV-SNP firmware ABI, "Secrets page"; SVSM
/// fields after the SVSM specification), 4 KiB, little-endian.
///
///     offset  size  field
///        000     4  version              3
///        004     4  flags                bit 0 IMI_EN, other bits zero
///        008     4  FMS                  CPUID leaf 1 EAX
///        00C     4  reserved             zero
///        010    16  GOSVW
///        020    32  VMPCK0               one key for each privilege level
///        040    32  VMPCK1
///        060    32  VMPCK2
///        080    32  VMPCK3
///        0A0    16  message_counters     four u32, low halves; guest OS area from here
///        0B0     8  AP_jump_table        physical address
///        0B8    16  message_counters_high
///        0C8    24  reserved             zero
///        0E0    32  guest_usage          the guest OS's own
///        100    64  VMSA_tweak_bitmap
///        140     8  SVSM_base
///        148     8  SVSM_size
///        150     8  SVSM_calling_area    of the first vCPU
///        158     4  SVSM_max_version
///        15C     1  SVSM_guest_VMPL
///        15D     3  reserved             zero
///        160     4  TSC_factor
///        164  3740  reserved             zero
///
/// Keys and counters belong to one guest context of one platform: they never travel. What may is
/// in `SecretsPageFacts`, and `init(facts:on:)` makes the page a migrated guest sees.
package struct SecretsPage: Equatable, Sendable {
  /// Bytes of the page.
  package static let size = 0x1000

  package static let layout = RecordLayout(
    "secrets-page",
    [
      "version": 4, "flags": 4, "FMS": 4, "reserved0": 4, "GOSVW": 16, "VMPCK0": 32,
      "VMPCK1": 32, "VMPCK2": 32, "VMPCK3": 32, "message_counters": 16, "AP_jump_table": 8,
      "message_counters_high": 16, "reserved1": 24, "guest_usage": 32, "VMSA_tweak_bitmap": 64,
      "SVSM_base": 8, "SVSM_size": 8, "SVSM_calling_area": 8, "SVSM_max_version": 4,
      "SVSM_guest_VMPL": 1, "reserved2": 3, "TSC_factor": 4, "reserved3": 3740,
    ])

  /// IMI_EN: the guest was launched with an initial migration image.
  package var hasIMI: Bool
  /// CPUID leaf 1 EAX of the platform.
  package var fms: UInt32
  /// 16 bytes: OS-visible workarounds.
  package private(set) var gosvw: [UInt8]
  /// Four keys of 32 bytes; a wiped one is all zero.
  package private(set) var vmpcks: [[UInt8]]
  /// Messages sent under each key.
  package private(set) var messageCounters: [UInt64]
  /// What does not depend on the guest context.
  package var facts: SecretsPageFacts

  /// A page with counters at zero.
  /// - Throws: `SECRETS-PAGE` when a length is wrong.
  package init(
    hasIMI: Bool = false, fms: UInt32, gosvw: [UInt8], vmpcks: [[UInt8]],
    facts: SecretsPageFacts
  ) throws(MigrationError) {
    guard gosvw.count == 16, vmpcks.count == 4, vmpcks.allSatisfy({ $0.count == 32 }) else {
      throw MigrationError(.secretsPage, "a field of the secrets page has the wrong length")
    }
    self.hasIMI = hasIMI
    self.fms = fms
    self.gosvw = gosvw
    self.vmpcks = vmpcks
    messageCounters = [0, 0, 0, 0]
    self.facts = facts
  }

  /// - Throws: `SECRETS-PAGE` with the offset of the first field that is not as above.
  package init(_ bytes: [UInt8]) throws(MigrationError) {
    guard bytes.count == Self.size else {
      throw MigrationError(
        .secretsPage, "not the length of a secrets page", expected: "\(Self.size) bytes",
        got: "\(bytes.count)")
    }
    let span = bytes.span
    var cursor = ByteCursor(span)
    let version: UInt32 = try cursor.readLittleEndian()
    guard version == 3 else {
      throw MigrationError(
        .secretsPage, "version of the secrets page is not known", at: 0, expected: "3",
        got: "\(version)")
    }
    let flags: UInt32 = try cursor.readLittleEndian()
    guard flags <= 1 else {
      throw MigrationError(.secretsPage, "reserved flag of the secrets page is set", at: 4)
    }
    hasIMI = flags == 1
    fms = try cursor.readLittleEndian()
    try Self.skipReserved(4, &cursor)
    gosvw = try cursor.takeArray(16)
    vmpcks = []
    for _ in 0..<4 { vmpcks.append(try cursor.takeArray(32)) }
    messageCounters = []
    for _ in 0..<4 { messageCounters.append(UInt64(try cursor.readLittleEndian(UInt32.self))) }
    facts = SecretsPageFacts()
    facts.apJumpTable = try cursor.readLittleEndian()
    for index in 0..<4 {
      messageCounters[index] |= UInt64(try cursor.readLittleEndian(UInt32.self)) << 32
    }
    try Self.skipReserved(24, &cursor)
    facts.guestUsage = try cursor.takeArray(32)
    facts.vmsaTweakBitmap = try cursor.takeArray(64)
    facts.svsmBase = try cursor.readLittleEndian()
    facts.svsmSize = try cursor.readLittleEndian()
    facts.svsmCallingArea = try cursor.readLittleEndian()
    facts.svsmMaxVersion = try cursor.readLittleEndian()
    facts.guestVMPL = try cursor.read()
    try Self.skipReserved(3, &cursor)
    facts.tscFactor = try cursor.readLittleEndian()
    try Self.skipReserved(3740, &cursor)
  }

  /// The guest's page on the destination: the destination's own keys, CPU identity and
  /// workarounds, the travelled facts, counters at zero. Every key more privileged than the
  /// guest's level is wiped, VMPCK0 always: the guest must not speak for the SVSM.
  ///
  /// - Parameters:
  ///   - facts: from the source's guest.
  ///   - own: the page the destination's firmware gave this guest context.
  /// - Throws: `SECRETS-PAGE` when the facts put the guest at VMPL 0 or above 3.
  package init(facts: SecretsPageFacts, on own: SecretsPage) throws(MigrationError) {
    guard (1...3).contains(facts.guestVMPL) else {
      throw MigrationError(
        .secretsPage, "guest cannot run at this privilege level", expected: "VMPL 1 to 3",
        got: "VMPL \(facts.guestVMPL)")
    }
    self = own
    self.facts = facts
    messageCounters = [0, 0, 0, 0]
    for level in 0..<Int(facts.guestVMPL) { vmpcks[level] = [UInt8](repeating: 0, count: 32) }
  }

  /// The page, `size` bytes.
  package var bytes: [UInt8] {
    var page: [UInt8] = []
    page.reserveCapacity(Self.size)
    page.append(littleEndian: UInt32(3))
    page.append(littleEndian: UInt32(hasIMI ? 1 : 0))
    page.append(littleEndian: fms)
    page.append(littleEndian: UInt32(0))
    page += gosvw
    for key in vmpcks { page += key }
    for counter in messageCounters { page.append(littleEndian: UInt32(counter & 0xFFFF_FFFF)) }
    page.append(littleEndian: facts.apJumpTable)
    for counter in messageCounters { page.append(littleEndian: UInt32(counter >> 32)) }
    page += [UInt8](repeating: 0, count: 24)
    page += facts.guestUsage
    page += facts.vmsaTweakBitmap
    page.append(littleEndian: facts.svsmBase)
    page.append(littleEndian: facts.svsmSize)
    page.append(littleEndian: facts.svsmCallingArea)
    page.append(littleEndian: facts.svsmMaxVersion)
    page += [facts.guestVMPL, 0, 0, 0]
    page.append(littleEndian: facts.tscFactor)
    page += [UInt8](repeating: 0, count: 3740)
    return page
  }

  private static func skipReserved(
    _ count: Int, _ cursor: inout ByteCursor
  ) throws(MigrationError) {
    for _ in 0..<count {
      let offset = cursor.offset
      guard try cursor.read(UInt8.self) == 0 else {
        throw MigrationError(.secretsPage, "reserved byte is not zero", at: offset)
      }
    }
  }
}
