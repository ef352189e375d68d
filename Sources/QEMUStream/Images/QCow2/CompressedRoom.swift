internal import Errors

/// The room that the file of an image has for compressed clusters, which may not overlap.
///
/// Entries name sectors, and where a cluster ends within its last sector is known only when it is
/// unpacked. Two facts of clusters that do not overlap bound the work all the same: each boundary
/// between two sectors lies in one cluster at most, and together they need no more bytes than the
/// file stores. Holes of the file are no room, since zeros do not unpack.
struct CompressedRoom {
  private static let sector: UInt64 = 512

  /// Fewest bytes that one cluster needs.
  let least: UInt64
  private var bytes: UInt64 = 0
  private var boundaries: UInt64 = 0

  /// - Throws: `IO-READ`.
  init(in file: any PositionedSource, of header: QCow2Header) throws(MigrationError) {
    least = header.compression.leastSize(of: header.clusterSize)
    var place: UInt64 = 0
    while let data = try file.nextData(from: place) {
      let count = data.upperBound - data.lowerBound
      bytes += count
      boundaries += count / Self.sector + 1
      place = data.upperBound
    }
  }

  /// Takes the room of one cluster.
  /// - Parameter place: the bytes that its entry names; not empty.
  /// - Returns: false when there is no such room.
  mutating func take(_ place: Range<UInt64>) -> Bool {
    let crossed = (place.upperBound - 1) / Self.sector - place.lowerBound / Self.sector
    guard crossed <= boundaries, least <= bytes else { return false }
    boundaries -= crossed
    bytes -= least
    return true
  }
}

extension QCow2Header.Compression {
  /// Most bytes of a block of zstd.
  private static let zstdBlock: UInt64 = 128 << 10

  /// Fewest bytes that unpack to `count` bytes. Deflate takes at least 2 bits for each 258 bytes; zstd
  /// takes 4 bytes for its magic, and 4 for each block.
  func leastSize(of count: UInt64) -> UInt64 {
    switch self {
    case .zlib: (count + 1031) / 1032
    case .zstd: 4 + 4 * ((count + Self.zstdBlock - 1) / Self.zstdBlock)
    }
  }
}
