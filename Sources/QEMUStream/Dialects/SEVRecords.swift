package import Wire

/// In front of each encrypted page of a SEV or CSV guest, and of each CPU state (AMD 55766, packet header
/// of SEND_UPDATE_DATA). Its length comes before it; a header of another length is passed over.
package struct SEVPacketHeader: WireRecord {
  package static let name = "sev-packet-header"

  /// Bit 0: compressed, which QEMU does not ask for. All other bits are reserved.
  package var flags: LE32
  /// Initialisation vector.
  package var iv: WireBytes<16>
  /// Over the packet.
  package var mac: WireBytes<32>
}

/// A stretch of guest memory that the guest shares (openEuler QEMU, `target/i386/sev.c`,
/// `sev_save_outgoing_shared_regions_list`). The list ends with a `status` of 2 alone.
package struct SEVSharedRegion: WireRecord {
  package static let name = "sev-shared-region"

  /// 1: a region follows.
  package var status: BE32
  /// Number of its first page.
  package var first: BE32
  /// Number of the page behind its last one.
  package var end: BE32

  static let follows: UInt32 = 1
  static let ends: UInt32 = 2
}

/// Which vCPU an encrypted state is of (openEuler QEMU, `target/i386/sev.c`, `sev_send_update_vmsa`). It
/// stands behind a status, which is 1, and the list ends with a status of 2 alone.
package struct CSVCPUIndex: WireRecord {
  package static let name = "csv-cpu-index"

  /// Bytes of `index`: 4.
  package var size: BE32
  /// In the order of the sending processor, as x86 has it.
  package var index: LE32
}
