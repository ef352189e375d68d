package import Errors
internal import FileIO
package import Wire

/// Memory of a guest in a temporary file without a name, for a guest that is only passed on or
/// inspected.
package final class TemporaryMemory: GuestMemoryOutput {
  /// Largest size of all blocks together, in bytes, which is what file systems can hold.
  package static let limit: UInt64 = 8 << 40

  private let file: TemporaryFile
  /// The same file, opened for reading.
  private let input: InputFile
  private let sizes: [UInt64]
  /// Offset of each block in the file.
  private let starts: [UInt64]

  /// - Parameter blockSizes: bytes of each block; the content is all zero.
  /// - Throws: `GUEST-SHAPE` for more memory than `limit`; `OUTPUT-CREATE`, `INPUT-OPEN`,
  ///   `IO-WRITE`.
  package init(blockSizes: [UInt64]) throws(MigrationError) {
    var starts: [UInt64] = []
    var end: UInt64 = 0
    for size in blockSizes {
      guard size <= Self.limit - end else {
        throw MigrationError(
          .guestShape, "guest memory exceeds the supported size",
          expected: "at most \(Self.limit >> 40) TiB")
      }
      starts.append(end)
      end += size
    }
    file = try TemporaryFile(size: end)
    input = try file.input()
    (sizes, self.starts) = (blockSizes, starts)
  }

  package func write(
    block: Int, at offset: UInt64, _ bytes: Span<UInt8>
  ) throws(MigrationError) {
    try file.write(bytes, at: place(block, offset, bytes.count))
  }

  package func write(
    block: Int, at offset: UInt64, _ bytes: Span<UInt8>, _ pieces: SpacedPieces
  ) throws(MigrationError) {
    try file.write(bytes, pieces, at: place(block, offset, pieces.total))
  }

  package func read(
    block: Int, at offset: UInt64, into buffer: inout MutableSpan<UInt8>
  ) throws(MigrationError) {
    try file.read(at: place(block, offset, buffer.count), into: &buffer)
  }

  /// The same memory, for reading.
  package var blocks: BlockFiles { BlockFiles(starts.map { .init(file: input, start: $0) }) }

  /// A reader of the guest with this memory.
  /// - Throws: `GUEST-SHAPE` when the sizes of the RAM blocks differ from those of this memory;
  ///   what `GuestDescription.validate` throws.
  package func guest(_ description: GuestDescription) throws(MigrationError) -> GuestReader {
    try description.validate()
    guard description.ramBlocks.map(\.size) == sizes else {
      throw MigrationError(.guestShape, "RAM blocks differ from those whose memory was written")
    }
    return GuestReader(description, memory: blocks)
  }

  private func place(
    _ block: Int, _ offset: UInt64, _ count: Int
  ) throws(MigrationError) -> UInt64 {
    try requireInside(
      sizes.indices.contains(block) ? sizes[block] : nil, block: block, offset: offset,
      count: count)
    return starts[block] + offset
  }
}
