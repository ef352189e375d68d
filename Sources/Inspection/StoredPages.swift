internal import Errors
internal import Guest
internal import PageSets
internal import QEMUStream
internal import SVSM
internal import Wire

/// The memory of an SNP stream as far as it is known, in a file without a name.
final class StoredPages: PageSink {
  private static let zeroPage = [UInt8](repeating: 0, count: Page.size)

  private let blocks: StoredBlocks
  /// Pages of each block whose content is encrypted and not known, by number.
  private var hidden = PageSet()

  /// - Throws: `GUEST-SHAPE`, `OUTPUT-CREATE`, `IO-WRITE`.
  init(_ blockSizes: [UInt64]) throws(MigrationError) {
    blocks = try StoredBlocks(blockSizes)
  }

  func write(block: Int, at offset: UInt64, _ bytes: Span<UInt8>) throws(MigrationError) {
    try hidden.remove(
      offset / Page.size64..<(offset + UInt64(bytes.count)) / Page.size64, of: block)
    try blocks.write(block: block, at: offset, bytes)
  }

  func read(
    block: Int, at offset: UInt64, into buffer: inout MutableSpan<UInt8>
  ) throws(MigrationError) {
    try blocks.read(block: block, at: offset, into: &buffer)
  }

  func take(
    _ page: PageMetadata, block: Int, at offset: UInt64, sealed: Span<UInt8>, content: [UInt8]?
  ) throws(MigrationError) {
    if let content {
      try write(block: block, at: offset, content.span)
    } else if page.operation == .cancel {
      try write(block: block, at: offset, Self.zeroPage.span)
    } else {
      _ = try hidden.insert(offset / Page.size64, of: block)
    }
  }

  /// Hashes the blocks of these sizes in bytes.
  /// - Throws: `IO-READ`, `INTERNAL-CRYPTOGRAPHY`.
  func hash(_ blockSizes: [UInt64]) throws(MigrationError) -> [BlockMemory] {
    var found: [BlockMemory] = []
    for (index, size) in blockSizes.enumerated() {
      var memory = BlockMemory(
        missingPages: try hidden.count(in: 0..<size / Page.size64, of: index))
      if memory.missingPages == 0 {
        switch try blocks.hash(block: index, length: size) {
        case .hash(let hash): memory.hash = hash
        case .zeros(let count): memory.unhashedZeros = count
        }
      }
      found.append(memory)
    }
    return found
  }
}
