internal import Cryptography
package import Errors
internal import Wire

/// Hashes the RAM blocks of a guest, as long as it is not mostly made of zeros that nothing stores.
///
/// To hash zeros takes as long as to hash anything else, and a file of a few KiB can be terabytes of them.
package struct BlockHasher {
  /// Bytes of zeros that one call hashes without their being stored.
  private static let zeroLimit: UInt64 = 64 << 30
  /// Bytes that are read or hashed at once.
  private static let pieceSize = 256 << 10

  private var zerosLeft = zeroLimit

  package init() {}

  package enum Result: Equatable {
    /// SHA-256.
    case hash([UInt8])
    /// So many of its bytes are zeros that nothing stores: more than are hashed.
    case zeros(UInt64)
  }

  /// Hashes all `length` bytes of a block.
  /// - Throws: `IO-READ`, `CRYPTOGRAPHY`.
  package mutating func hash(
    block: Int, of memory: BlockFiles, length: UInt64
  ) throws(MigrationError) -> Result {
    var zeros: UInt64 = 0
    try Self.forEachStretch(of: block, in: memory, length) {
      (range, isStored) throws(MigrationError) in
      if !isStored { zeros += UInt64(range.count) }
    }
    guard zeros <= zerosLeft else { return .zeros(zeros) }
    zerosLeft -= zeros
    var digest = try SHA256()
    let (content, empty) = (PageBuffer(count: Self.pieceSize), PageBuffer(count: Self.pieceSize))
    try Self.forEachStretch(of: block, in: memory, length) {
      (range, isStored) throws(MigrationError) in
      var place = range.lowerBound
      while place < range.upperBound {
        let count = Int(min(UInt64(Self.pieceSize), range.upperBound - place))
        if isStored {
          var target = content.mutableSpan(0..<count)
          try memory.read(block: block, at: place, into: &target)
        }
        try digest.update((isStored ? content : empty).span.extracting(first: count))
        place += UInt64(count)
      }
    }
    return .hash(try digest.finish())
  }

  /// Calls `body` for each part of a block that is stored or not, in order.
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
