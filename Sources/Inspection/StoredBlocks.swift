internal import Cryptography
internal import Errors
internal import Guest
internal import QEMUStream
internal import Wire

/// Hashes the RAM blocks of a stream, whose pages are written to it.
protocol RAMHasher: RAMStore {
  /// Hashes all `length` bytes of a block. All of its pages have been written or are zero. The blocks must
  /// be hashed in their order.
  /// - Throws: `IO-READ`, `CRYPTOGRAPHY`.
  func hash(block: Int, length: UInt64) throws(MigrationError) -> BlockHash
}

/// Stores the pages of all blocks in a file, and hashes the blocks when all pages have been written. The
/// pages may be written in any order.
final class StoredBlocks: RAMHasher {
  private let memory: TemporaryMemory
  private var hasher = BlockHasher()

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

  /// The SHA-256 of a part of a block.
  func hash(block: Int, _ range: Range<UInt64>) throws(MigrationError) -> [UInt8] {
    var digest = try SHA256()
    let buffer = PageBuffer(count: 256 << 10)
    var place = range.lowerBound
    while place < range.upperBound {
      let count = Int(min(UInt64(buffer.count), range.upperBound - place))
      var target = buffer.mutableSpan(0..<count)
      try memory.read(block: block, at: place, into: &target)
      try digest.update(buffer.span.extracting(first: count))
      place += UInt64(count)
    }
    return try digest.finish()
  }

  func hash(block: Int, length: UInt64) throws(MigrationError) -> BlockHash {
    try hasher.hash(block: block, of: memory.blocks, length: length)
  }
}
