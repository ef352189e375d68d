package import Cryptography
package import Errors
internal import Wire

/// The hash of a RAM block, unless the blocks consist mostly of zeros that are not stored.
///
/// Hashing a hole takes as long as hashing stored bytes, and a file of a few KiB can have terabytes
/// of holes.
package enum BlockHash: Equatable {
  /// Most bytes of holes that are hashed, over all blocks.
  package static let zeroLimit: UInt64 = 64 << 30

  /// The SHA-256 hash.
  case hash([UInt8])
  /// The block is not hashed: this number of its bytes lies in holes, which is more than the limit.
  case zeros(UInt64)
}

/// Hashes RAM blocks whose memory lies in files.
package struct BlockHasher {
  /// Bytes that are read or hashed by one call.
  private static let pieceSize = 256 << 10

  private var zerosLeft = BlockHash.zeroLimit

  package init() {}

  /// Hashes all `length` bytes of a block.
  /// - Throws: `IO-READ`, `CRYPTOGRAPHY`.
  package mutating func hash(
    block: Int, of memory: BlockFiles, length: UInt64
  ) throws(MigrationError) -> BlockHash {
    var zeros: UInt64 = 0
    try Self.forEachStretch(of: block, in: memory, length) {
      (range, isStored) throws(MigrationError) in
      if !isStored { zeros += UInt64(range.count) }
    }
    guard zeros <= zerosLeft else { return .zeros(zeros) }
    zerosLeft -= zeros
    var digest = try SHA256()
    let content = PageBuffer(count: Self.pieceSize)
    try Self.forEachStretch(of: block, in: memory, length) {
      (range, isStored) throws(MigrationError) in
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
  private static func forEachStretch(
    of block: Int, in memory: BlockFiles, _ length: UInt64,
    _ body: (Range<UInt64>, _ isStored: Bool) throws(MigrationError) -> Void
  ) throws(MigrationError) {
    var place: UInt64 = 0
    while place < length {
      let stored =
        try memory.nextStored(block: block, from: place, size: length) ?? length..<length
      if stored.lowerBound > place { try body(place..<stored.lowerBound, false) }
      if !stored.isEmpty { try body(stored, true) }
      place = stored.upperBound
    }
  }
}

extension SHA256 {
  private static let zeros = [UInt8](repeating: 0, count: 64 << 10)

  /// Adds `count` zero bytes.
  /// - Throws: `CRYPTOGRAPHY`.
  package mutating func update(zeros count: UInt64) throws(MigrationError) {
    var left = count
    while left > 0 {
      let step = min(left, UInt64(Self.zeros.count))
      try update(Self.zeros.span.extracting(first: Int(step)))
      left -= step
    }
  }
}
