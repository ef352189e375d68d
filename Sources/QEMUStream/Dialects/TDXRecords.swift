package import Wire

/// The header before each migration bundle in a stream (intel/qemu-td-partitioning fa1962bb,
/// `migration/cgs-tdx.c`, `TdxMigHdr`).
package struct TDXBundleHeader: WireRecord {
  package static let name = "tdx-bundle-header"

  /// Bit 0: another bundle follows this one. All other bits are zero.
  package var flags: LE16
  /// Number of 4096-byte pages after the metadata.
  package var pages: LE16

  static let continues: UInt16 = 1
}

/// The metadata of a migration bundle, as the TDX module writes it (intel/tdx-module 72d8cffb,
/// `src/common/helpers/migration.h`, `mbmd_t`).
package struct TDXBundleMetadata: WireRecord {
  package static let name = "tdx-mbmd"

  /// Size of the metadata in bytes: 48.
  package var size: LE16
  /// Version of the bundle format; the same in a whole stream.
  package var migVersion: LE16
  /// Number of the migration stream; stream 0 is in the main channel.
  package var migsIndex: LE16
  /// Kind of the bundle's contents: `Kind`.
  package var mbType: U8
  /// Zero.
  package var reserved0: U8
  /// Number of earlier bundles of this migration stream in the same epoch.
  package var mbCounter: LE32
  /// Epoch of the bundle; all ones after the start token.
  package var migEpoch: LE32
  /// Counter of initialisation vectors, which grows with each bundle.
  package var ivCounter: LE64
  /// Further fields, by type.
  package var specific: LE64
  /// MAC over the metadata and, for some types, the state.
  package var mac: WireBytes<16>

  /// The kind of a bundle's contents.
  enum Kind: UInt8 {
    case immutableState = 0
    case state = 1
    case vcpu = 2
    case memory = 16
    case epochToken = 32

    /// The bits of `specific` that are reserved.
    var reservedBits: UInt64 {
      switch self {
      case .immutableState: 0xFFFF_FF00_FFFF_0000
      case .state: .max
      case .vcpu, .memory: ~0xFFFF
      case .epochToken: 0
      }
    }
  }
}

/// An entry of a bundle's list of addresses (`include/tdx_api_defs.h`, `gpa_list_entry_t`).
struct TDXAddress {
  enum Operation: UInt64 {
    /// The entry's page was not exported.
    case none = 0
    case migrate = 1
    case cancel = 2
    case migrateAgain = 3
  }

  var value: UInt64

  /// Size of the mapping; 0 is a page of 4 KiB.
  var level: UInt64 { value & 3 }
  /// Kind of the exported memory; 0 is a page of 4 KiB.
  var kind: UInt64 { value >> 10 & 3 }
  var gpa: UInt64 { value & 0x000F_FFFF_FFFF_F000 }
  var operation: Operation { Operation(rawValue: value >> 52 & 3) ?? .none }
  var status: UInt64 { value >> 56 & 0x1F }
  var reserved: UInt64 { value & 0xE0C0_0000_0000_0078 }
}
