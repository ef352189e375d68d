package import Wire

/// In front of each migration bundle in a stream (intel/qemu-td-partitioning fa1962bb,
/// `migration/cgs-tdx.c`, `TdxMigHdr`).
package struct TDXBundleHeader: WireRecord {
  package static let name = "tdx-bundle-header"

  /// Bit 0: another bundle follows this one. All others are zero.
  package var flags: LE16
  /// Pages of 4096 bytes behind the metadata.
  package var pages: LE16

  static let continues: UInt16 = 1
}

/// The metadata of a migration bundle, as the TDX module makes it (intel/tdx-module 72d8cffb,
/// `src/common/helpers/migration.h`, `mbmd_t`).
package struct TDXBundleMetadata: WireRecord {
  package static let name = "tdx-mbmd"

  /// Bytes of the metadata: 48.
  package var size: LE16
  /// Of the format of bundles; the same in a whole stream.
  package var migVersion: LE16
  /// Of the migration stream: 0 is the one that travels in the main stream.
  package var migsIndex: LE16
  /// What the bundle holds: `Kind`.
  package var mbType: U8
  /// Zero.
  package var reserved0: U8
  /// Bundles of this migration stream before this one, in its epoch.
  package var mbCounter: LE32
  /// Epoch it belongs to; all ones behind the start token.
  package var migEpoch: LE32
  /// Grows with each bundle.
  package var ivCounter: LE64
  /// What else there is to say, by type.
  package var specific: LE64
  /// Over the metadata, and the state or nothing.
  package var mac: WireBytes<16>

  /// What a bundle holds.
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
    /// Nothing was exported.
    case none = 0
    case migrate = 1
    case cancel = 2
    case migrateAgain = 3
  }

  var value: UInt64

  /// Size of the mapping: 0, a page of 4 KiB.
  var level: UInt64 { value & 3 }
  /// Kind of what is exported: 0, a page of 4 KiB.
  var kind: UInt64 { value >> 10 & 3 }
  var gpa: UInt64 { value & 0x000F_FFFF_FFFF_F000 }
  var operation: Operation { Operation(rawValue: value >> 52 & 3) ?? .none }
  var status: UInt64 { value >> 56 & 0x1F }
  var reserved: UInt64 { value & 0xE0C0_0000_0000_0078 }
}
