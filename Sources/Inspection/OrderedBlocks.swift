internal import Cryptography
internal import Errors
internal import Guest
internal import QEMUStream
internal import Wire

/// Hashes blocks while their pages are written, and keeps no page. The pages of each block must be written
/// in order and only once, as in the stream of a guest that is paused.
final class OrderedBlocks: RAMHasher {
  /// The part of a block that has been hashed.
  private final class Progress {
    private var digest: SHA256
    /// Offset of its end: the least offset of the next page.
    private(set) var end: UInt64 = 0
    /// Bytes in it that were not written: zeros.
    private(set) var zeros: UInt64 = 0

    init(_: Void = ()) throws(MigrationError) { digest = try SHA256() }

    func hash(gap: UInt64, _ bytes: Span<UInt8>) throws(MigrationError) {
      try digest.update(zeros: gap)
      try digest.update(bytes)
      zeros += gap
      end += gap + UInt64(bytes.count)
    }

    /// The hash of this part and of `rest` zeros after it.
    func finish(rest: UInt64) throws(MigrationError) -> [UInt8] {
      try digest.update(zeros: rest)
      return try digest.finish()
    }
  }

  private let blocks: [Progress]
  /// Number of zeros between pages that may still be hashed.
  private var gapsLeft = BlockHash.zeroLimit
  private var zerosLeft = BlockHash.zeroLimit
  /// Whether all pages so far were in order. If not, there are no hashes.
  private(set) var isInOrder = true

  init(count: Int) throws(MigrationError) {
    var blocks: [Progress] = []
    for _ in 0..<count { blocks.append(try Progress()) }
    self.blocks = blocks
  }

  /// - Throws: `RAM-OFFSET` when a page is not in order; `CRYPTOGRAPHY`.
  func write(block: Int, at offset: UInt64, _ bytes: Span<UInt8>) throws(MigrationError) {
    let end = blocks[block].end
    guard offset >= end, offset - end <= gapsLeft else { throw outOfOrder(at: offset) }
    gapsLeft -= offset - end
    try blocks[block].hash(gap: offset - end, bytes)
  }

  /// Only an XBZRLE delta needs earlier content, which is not kept.
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
    return MigrationError(.ramOffset, "pages are not in order", at: offset)
  }
}
