package import Wire

/// The header before each encrypted page of a SEV or CSV guest and before each CPU state (AMD
/// 55766, packet header of SEND_UPDATE_DATA). The stream gives its length first; a header of
/// another length is skipped.
package struct SEVPacketHeader: WireRecord {
  package static let name = "sev-packet-header"

  /// Bit 0: compressed, which QEMU does not request. All other bits are reserved.
  package var flags: LE32
  /// Initialisation vector.
  package var iv: WireBytes<16>
  /// MAC over the packet.
  package var mac: WireBytes<32>
}

/// A range of guest memory that the guest shares (openEuler QEMU, `target/i386/sev.c`,
/// `sev_save_outgoing_shared_regions_list`). The list ends with a `status` of 2 and no further
/// fields.
package struct SEVSharedRegion: WireRecord {
  package static let name = "sev-shared-region"

  /// 1: a region follows.
  package var status: BE32
  /// Number of its first page.
  package var first: BE32
  /// Number of the page after its last page.
  package var end: BE32

  static let follows: UInt32 = 1
  static let ends: UInt32 = 2
}

/// The index of the vCPU whose encrypted state follows (openEuler QEMU, `target/i386/sev.c`,
/// `sev_send_update_vmsa`). A status of 1 precedes it; a status of 2 without an index ends the
/// list.
package struct CSVCPUIndex: WireRecord {
  package static let name = "csv-cpu-index"

  /// Size of `index` in bytes: 4.
  package var size: BE32
  /// In the byte order of the sending processor, which is x86.
  package var index: LE32
}
