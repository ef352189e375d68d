internal import Cryptography
internal import Errors
internal import Guest
internal import Import
internal import QEMUStream
internal import Wire

/// Hashes the RAM blocks of a stream, whose pages are written to it.
protocol BlockHasher: RAMStore {
  /// Hashes all `length` bytes of a block. All of its pages have been written or are zero. The blocks must
  /// be hashed in their order.
  /// - Throws: `IO-READ`, `CRYPTOGRAPHY`.
  func hash(block: Int, length: UInt64) throws(MigrationError) -> BlockHash
}

/// The hash of a RAM block, unless the blocks consist mostly of zeros that are not stored.
///
/// Hashing a hole takes as long as hashing stored bytes, and a file of a few KiB can have terabytes
/// of holes.
enum BlockHash: Equatable {
  /// Most bytes of holes that are hashed, over all blocks.
  static let zeroLimit: UInt64 = 64 << 30

  /// The SHA-256 hash.
  case hash([UInt8])
  /// The block is not hashed: this number of its bytes lies in holes, which is more than the limit.
  case zeros(UInt64)
}

/// Stores the pages of all blocks in a file, and hashes the blocks when all pages have been written. The
/// pages may be written in any order.
final class StoredBlocks: BlockHasher {
  /// Bytes that are read or hashed by one call.
  private static let pieceSize = 256 << 10

  private let memory: TemporaryMemory
  private var zerosLeft = BlockHash.zeroLimit

  init(_ blockSizes: [UInt64]) throws(MigrationError) {
    memory = try TemporaryMemory(blockSizes: blockSizes)
  }

  func write(block: Int, at offset: UInt64, _ bytes: Span<UInt8>) throws(MigrationError) {
    try memory.write(block: block, at: offset, bytes)
  }

  func read(
    block: Int, at offset: UInt64, into buffer: inout MutableSpan<UInt8>
  ) throws(MigrationError) {
    try memory.read(block: block, at: offset, into: &buffer)
  }

  func hash(block: Int, length: UInt64) throws(MigrationError) -> BlockHash {
    var zeros: UInt64 = 0
    try forEachStretch(of: block, length) { (range, isStored) throws(MigrationError) in
      if !isStored { zeros += UInt64(range.count) }
    }
    guard zeros <= zerosLeft else { return .zeros(zeros) }
    zerosLeft -= zeros
    var digest = try SHA256()
    let content = PageBuffer(count: Self.pieceSize)
    try forEachStretch(of: block, length) { (range, isStored) throws(MigrationError) in
      guard isStored else { return try digest.update(zeros: UInt64(range.count)) }
      var place = range.lowerBound
      while place < range.upperBound {
        let count = Int(min(UInt64(Self.pieceSize), range.upperBound - place))
        var target = content.mutableSpan(0..<count)
        try memory.read(block: block, at: place, into: &target)
        try digest.update(content.span.extracting(first: count))
        place += UInt64(count)
      }
    }
    return .hash(try digest.finish())
  }

  /// Calls `body` for each stored part and each hole of a block, in order.
  private func forEachStretch(
    of block: Int, _ length: UInt64,
    _ body: (Range<UInt64>, _ isStored: Bool) throws(MigrationError) -> Void
  ) throws(MigrationError) {
    var place: UInt64 = 0
    while place < length {
      let stored = try memory.nextWritten(block: block, from: place) ?? length..<length
      if stored.lowerBound > place { try body(place..<stored.lowerBound, false) }
      if !stored.isEmpty { try body(stored, true) }
      place = stored.upperBound
    }
  }
}

extension SHA256 {
  private static let zeros = [UInt8](repeating: 0, count: 64 << 10)

  /// Adds `count` zero bytes.
  mutating func update(zeros count: UInt64) throws(MigrationError) {
    var left = count
    while left > 0 {
      let step = min(left, UInt64(Self.zeros.count))
      try update(Self.zeros.span.extracting(first: Int(step)))
      left -= step
    }
  }
}
