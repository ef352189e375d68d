internal import Cryptography
internal import Errors
internal import QEMUStream
internal import Wire

/// Hashes blocks while their pages come, and keeps none of them. The pages of each block must come in order
/// and once, as a guest that does not run is saved.
final class OrderedBlocks: BlockHasher {
  /// What was hashed of a block.
  private final class Progress {
    private var digest: SHA256
    /// Where the next page may begin.
    private(set) var end: UInt64 = 0
    /// Bytes before it that did not come: zeros.
    private(set) var zeros: UInt64 = 0

    init(_: Void = ()) throws(MigrationError) { digest = try SHA256() }

    func hash(gap: UInt64, _ bytes: Span<UInt8>) throws(MigrationError) {
      try digest.update(zeros: gap)
      try digest.update(bytes)
      zeros += gap
      end += gap + UInt64(bytes.count)
    }

    /// The hash of what came and of `rest` zeros after it.
    func finish(rest: UInt64) throws(MigrationError) -> [UInt8] {
      try digest.update(zeros: rest)
      return try digest.finish()
    }
  }

  private let blocks: [Progress]
  /// Zeros that may still be hashed among pages.
  private var gapsLeft = BlockHash.zeroLimit
  private var zerosLeft = BlockHash.zeroLimit
  /// Whether pages came as they must so far. If not, nothing is hashed.
  private(set) var isInOrder = true

  init(count: Int) throws(MigrationError) {
    var blocks: [Progress] = []
    for _ in 0..<count { blocks.append(try Progress()) }
    self.blocks = blocks
  }

  /// - Throws: `RAM-OFFSET` when pages do not come in order; `CRYPTOGRAPHY`.
  func write(block: Int, at offset: UInt64, _ bytes: Span<UInt8>) throws(MigrationError) {
    let end = blocks[block].end
    guard offset >= end, offset - end <= gapsLeft else { throw outOfOrder(at: offset) }
    gapsLeft -= offset - end
    try blocks[block].hash(gap: offset - end, bytes)
  }

  /// A delta needs what came before, which is not kept.
  /// - Throws: `RAM-OFFSET`, always.
  func read(
    block: Int, at offset: UInt64, into buffer: inout MutableSpan<UInt8>
  ) throws(MigrationError) {
    throw outOfOrder(at: offset)
  }

  func hash(block: Int, length: UInt64) throws(MigrationError) -> BlockHash {
    let rest = length - blocks[block].end
    let zeros = blocks[block].zeros + rest
    guard zeros <= zerosLeft else { return .zeros(zeros) }
    zerosLeft -= zeros
    return .hash(try blocks[block].finish(rest: rest))
  }

  private func outOfOrder(at offset: UInt64) -> MigrationError {
    isInOrder = false
    return MigrationError(.ramOffset, "pages do not come in order", at: offset)
  }
}
