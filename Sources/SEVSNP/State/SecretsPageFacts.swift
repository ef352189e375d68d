package import Errors
package import Wire

/// What of a secrets page may travel with its guest: no key, no counter, nothing of the platform
/// (our own record, big-endian).
///
///     offset  size  field
///          0     8  svsm_base
///          8     8  svsm_size
///         16     8  svsm_calling_area
///         24     8  ap_jump_table
///         32     4  svsm_max_version
///         36     4  tsc_factor
///         40     1  guest_vmpl           1 to 3
///         41     7  reserved             zero
///         48    64  vmsa_tweak_bitmap
///        112    32  guest_usage
package struct SecretsPageFacts: Equatable, Sendable {
  package static let layout = RecordLayout(
    "secrets-page-facts",
    [
      "svsm_base": 8, "svsm_size": 8, "svsm_calling_area": 8, "ap_jump_table": 8,
      "svsm_max_version": 4, "tsc_factor": 4, "guest_vmpl": 1, "reserved": 7,
      "vmsa_tweak_bitmap": 64, "guest_usage": 32,
    ])

  /// Guest-physical address and bytes of the SVSM's memory.
  package var svsmBase: UInt64 = 0
  package var svsmSize: UInt64 = 0
  /// Guest-physical address of the first vCPU's calling area.
  package var svsmCallingArea: UInt64 = 0
  /// Guest-physical address of the AP jump table, 0 when there is none.
  package var apJumpTable: UInt64 = 0
  /// Highest version of the SVSM core protocol.
  package var svsmMaxVersion: UInt32 = 0
  package var tscFactor: UInt32 = 0
  /// Level the guest OS runs at.
  package var guestVMPL: UInt8 = 0
  /// 64 bytes, from the source's page.
  package internal(set) var vmsaTweakBitmap = [UInt8](repeating: 0, count: 64)
  /// 32 bytes of the guest OS's own, from the source's page.
  package internal(set) var guestUsage = [UInt8](repeating: 0, count: 32)

  /// All zero.
  package init() {}

  /// Reads one record.
  /// - Throws: `STREAM-TRUNCATED`; `SECRETS-PAGE` for a reserved byte or a level that is none.
  package init(from cursor: inout ByteCursor) throws(MigrationError) {
    svsmBase = try cursor.read()
    svsmSize = try cursor.read()
    svsmCallingArea = try cursor.read()
    apJumpTable = try cursor.read()
    svsmMaxVersion = try cursor.read()
    tscFactor = try cursor.read()
    let levelOffset = cursor.offset
    guestVMPL = try cursor.read()
    guard (1...3).contains(guestVMPL) else {
      throw MigrationError(
        .secretsPage, "guest cannot run at this privilege level", at: levelOffset,
        expected: "VMPL 1 to 3", got: "VMPL \(guestVMPL)")
    }
    for _ in 0..<7 {
      let offset = cursor.offset
      guard try cursor.read(UInt8.self) == 0 else {
        throw MigrationError(.secretsPage, "reserved byte is not zero", at: offset)
      }
    }
    vmsaTweakBitmap = try cursor.takeArray(64)
    guestUsage = try cursor.takeArray(32)
  }

  /// The record, 144 bytes.
  package var bytes: [UInt8] {
    var record: [UInt8] = []
    record.append(bigEndian: svsmBase)
    record.append(bigEndian: svsmSize)
    record.append(bigEndian: svsmCallingArea)
    record.append(bigEndian: apJumpTable)
    record.append(bigEndian: svsmMaxVersion)
    record.append(bigEndian: tscFactor)
    record += [guestVMPL, 0, 0, 0, 0, 0, 0, 0]
    record += vmsaTweakBitmap + guestUsage
    return record
  }
}
