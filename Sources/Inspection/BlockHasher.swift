internal import Cryptography
internal import Errors
internal import Guest
internal import Wire

/// Hashes the RAM blocks of a guest, unless they consist mostly of zeros that are not stored.
///
/// Hashing a hole takes as long as hashing stored bytes, and a file of a few KiB can have terabytes
/// of holes.
struct BlockHasher {
  /// Most bytes of holes that one hasher hashes, over all blocks.
  private static let zeroLimit: UInt64 = 64 << 30
  /// Bytes that are read or hashed by one call.
  private static let pieceSize = 256 << 10

  private let memory: TemporaryMemory
  private var zerosLeft = zeroLimit

  init(_ memory: TemporaryMemory) { self.memory = memory }

  enum Result: Equatable {
    /// The SHA-256 hash.
    case hash([UInt8])
    /// The block is not hashed: this number of its bytes lies in holes, which is more than the
    /// limit.
    case zeros(UInt64)
  }

  /// Hashes all `length` bytes of a block.
  /// - Throws: `IO-READ`, `CRYPTOGRAPHY`.
  mutating func hash(block: Int, length: UInt64) throws(MigrationError) -> Result {
    var zeros: UInt64 = 0
    try forEachStretch(of: block, length) { (range, isStored) throws(MigrationError) in
      if !isStored { zeros += UInt64(range.count) }
    }
    guard zeros <= zerosLeft else { return .zeros(zeros) }
    zerosLeft -= zeros
    var digest = try SHA256()
    let (content, empty) = (PageBuffer(count: Self.pieceSize), PageBuffer(count: Self.pieceSize))
    try forEachStretch(of: block, length) { (range, isStored) throws(MigrationError) in
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
