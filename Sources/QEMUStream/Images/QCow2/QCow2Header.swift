internal import Errors
internal import Wire

/// The header of a qcow2 image (QEMU `docs/interop/qcow2.rst`), as far as reading its internal
/// snapshots requires.
///
///     offset  size  field
///          0     4  magic             51 46 49 fb
///          4     4  version           2 or 3
///          8    12  backing file      offset and length of its name
///         20     4  cluster_bits      a cluster has 2^cluster_bits bytes
///         24     8  size              bytes of the disk
///         32     4  crypt_method      0: not encrypted
///         36    12  L1 table          entries and offset of the active disk's table
///         48    12  refcount table    its offset, and its number of clusters
///         60     4  nb_snapshots
///         64     8  snapshots_offset  offset of the snapshot table
///
/// Version 3 adds these fields:
///
///         72     8  incompatible features
///         80    16  other features
///         96     4  refcount_order
///        100     4  header_length     bytes of the header
///        104     1  compression_type  0 zlib, 1 zstd; present if header_length includes it
///
/// Integers are big-endian.
struct QCow2Header: Equatable {
  static let magic: [UInt8] = [0x51, 0x46, 0x49, 0xfb]
  /// Most internal snapshots that QEMU makes.
  static let snapshotLimit: UInt32 = 65536

  private struct Layout: WireRecord {
    var magic: WireBytes<4>
    var version: BE32
    var backingFile: WireBytes<12>
    var clusterBits: BE32
    var size: BE64
    var cryptMethod: BE32
    var l1Table: WireBytes<12>
    var refcountTable: WireBytes<12>
    var snapshots: BE32
    var snapshotsOffset: BE64
    var later = Later()
  }

  /// The fields that version 3 added.
  private struct Later: WireRecord {
    var incompatible: BE64
    var otherFeatures: WireBytes<16>
    var refcountOrder: BE32
    var headerLength: BE32
    var compressionType: U8
  }

  /// Incompatible features, by bit.
  private enum Feature: Int {
    case dirty, corrupt, externalData, compressionType, extendedEntries

    static let known: UInt64 = 1 << 5 - 1
  }

  enum Compression: UInt8 {
    case zlib = 0
    case zstd = 1
  }

  var version: UInt32
  var clusterBits: Int
  /// Size of the disk in bytes.
  var diskSize: UInt64
  var isEncrypted: Bool
  var snapshotCount: UInt32
  var snapshotsOffset: UInt64
  /// Whether entries of L2 tables have 16 bytes and map 32 subclusters each.
  var hasSubclusters: Bool
  var hasExternalData: Bool
  /// The method by which clusters are compressed.
  var compression: Compression

  /// - Throws: `IMAGE-HEADER` for an image that is not supported; `STREAM-TRUNCATED`; `IO-READ`.
  init(_ file: any PositionedSource) throws(MigrationError) {
    let count = Int(min(file.size, UInt64(Layout.size)))
    var bytes = [UInt8](repeating: 0, count: count)
    var span = bytes.mutableSpan
    try file.read(at: 0, into: &span)
    let needed = Layout.offset(of: \.later)
    guard count >= needed else { throw Self.cut(at: file.size, needed) }
    bytes += [UInt8](repeating: 0, count: Layout.size - count)
    let layout = Layout(at: 0, of: bytes.span)
    version = layout.version.value
    guard bytes.starts(with: Self.magic) else {
      throw MigrationError(
        .imageHeader, "not a qcow2 image", at: 0, expected: Hex.encode(Self.magic),
        got: Hex.encode(Array(bytes.prefix(4))))
    }
    guard 2...3 ~= version else {
      throw Self.refused("version", \.version, expected: "2 or 3", got: "\(version)")
    }
    var later = layout.later
    if version == 2 { later = Later() }
    let isLong = later.headerLength.value >= UInt32(Layout.size)
    guard version == 2 || count >= needed + Later.range(of: \.headerLength).upperBound else {
      throw Self.cut(at: file.size, Layout.size - 1)
    }
    let features = later.incompatible.value
    func has(_ feature: Feature) -> Bool { features >> UInt64(feature.rawValue) & 1 == 1 }
    guard features & ~Feature.known == 0 else {
      throw Self.refused(
        "incompatible features", \.later, expected: "none beyond 0x1f", got: Hex.number(features))
    }
    hasSubclusters = has(.extendedEntries)
    hasExternalData = has(.externalData)
    let least: UInt32 = hasSubclusters ? 14 : 9
    guard least...21 ~= layout.clusterBits.value else {
      throw Self.refused(
        "size of a cluster", \.clusterBits, expected: "2 to the power of \(least) to 21",
        got: "\(layout.clusterBits.value)")
    }
    clusterBits = Int(layout.clusterBits.value)
    diskSize = layout.size.value
    isEncrypted = layout.cryptMethod.value != 0
    let method = has(.compressionType) && isLong ? later.compressionType.value : 0
    guard let compression = Compression(rawValue: method) else {
      throw Self.refused("compression type", \.later, expected: "0 or 1", got: "\(method)")
    }
    self.compression = compression
    snapshotCount = layout.snapshots.value
    snapshotsOffset = layout.snapshotsOffset.value
    guard snapshotCount <= Self.snapshotLimit else {
      throw Self.refused(
        "number of snapshots", \.snapshots, expected: "at most \(Self.snapshotLimit)",
        got: "\(snapshotCount)")
    }
  }

  private static func refused<Field: WireField>(
    _ what: String, _ field: KeyPath<Layout, Field>, expected: String, got: String
  ) -> MigrationError {
    MigrationError(
      .imageHeader, "\(what) of the qcow2 image is not read",
      at: UInt64(Layout.offset(of: field)), expected: expected, got: got)
  }

  private static func cut(at size: UInt64, _ needed: Int) -> MigrationError {
    MigrationError(
      .streamTruncated, "qcow2 image ends within its header", at: size,
      expected: "\(needed) bytes")
  }

  // MARK: Derived sizes

  var clusterSize: UInt64 { 1 << UInt64(clusterBits) }
  /// Size of an entry of an L2 table in bytes.
  var entrySize: Int { hasSubclusters ? 16 : 8 }
  /// Number of entries of an L2 table, which is one cluster long.
  var entries: Int { Int(clusterSize) / entrySize }
  /// Number of bytes of the disk that one L2 table maps.
  var coverage: UInt64 { clusterSize * UInt64(entries) }
}
