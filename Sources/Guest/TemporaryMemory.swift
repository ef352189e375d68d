public import Bytes
internal import FileIO

/// Memory of a guest in files without names: for a guest that is only passed on.
public final class TemporaryMemory: GuestMemoryOutput {
  private let files: [TemporaryFile]
  private let sizes: [UInt64]

  /// - Parameter blockSizes: bytes of each block; all zero.
  /// - Throws: `OUTPUT-CREATE`, `IO-WRITE`.
  public init(blockSizes: [UInt64]) throws(MigrationError) {
    var files: [TemporaryFile] = []
    for size in blockSizes { files.append(try TemporaryFile(size: size)) }
    self.files = files
    sizes = blockSizes
  }

  public func write(
    block: Int, at offset: UInt64, _ bytes: Span<UInt8>
  ) throws(MigrationError) {
    try require(block, offset, bytes.count)
    try files[block].write(bytes, at: offset)
  }

  public func write(
    block: Int, at offset: UInt64, _ bytes: Span<UInt8>, _ pieces: SpacedPieces
  ) throws(MigrationError) {
    try require(block, offset, pieces.total)
    try files[block].write(bytes, pieces, at: offset)
  }

  public func read(
    block: Int, at offset: UInt64, into buffer: inout MutableSpan<UInt8>
  ) throws(MigrationError) {
    try require(block, offset, buffer.count)
    try files[block].read(at: offset, into: &buffer)
  }

  /// The guest whose memory this is.
  /// - Throws: `INPUT-OPEN`; `GUEST-SHAPE` when the RAM blocks are others; what
  ///   `GuestDescription.validate` throws.
  public func guest(_ description: GuestDescription) throws(MigrationError) -> GuestReader {
    try description.validate()
    guard description.ramBlocks.map(\.size) == sizes else {
      throw MigrationError(.guestShape, "RAM blocks are not those whose memory was written")
    }
    var inputs: [InputFile] = []
    for file in files { inputs.append(try file.input()) }
    return GuestReader(description, files: inputs, identity: nil)
  }

  private func require(_ block: Int, _ offset: UInt64, _ count: Int) throws(MigrationError) {
    try requireInside(
      sizes.indices.contains(block) ? sizes[block] : nil, block: block, offset: offset,
      count: count)
  }
}
