package import Errors
package import Wire

/// A file that the program writes through a descriptor of its own, and can read back.
package protocol DescribedFile: PositionedFile {
  /// What all calls go to.
  var descriptor: OutputDescriptor { get }
}

extension DescribedFile {
  /// Writes all of `bytes` at `offset`; the current position of sequential writes does not change.
  /// - Throws: `IO-WRITE`, also when the output cannot be written by position.
  package func write(_ bytes: Span<UInt8>, at offset: UInt64) throws(MigrationError) {
    try descriptor.write(bytes, at: offset)
  }

  /// Writes the pieces of `bytes` one after the other without gaps, beginning at `offset`.
  /// - Throws: `IO-WRITE`, also when the output cannot be written by position.
  package func write(
    _ bytes: Span<UInt8>, _ pieces: SpacedPieces, at offset: UInt64
  ) throws(MigrationError) {
    try descriptor.write(bytes, pieces, at: offset)
  }

  /// Fills `buffer` with the bytes of the file that begin at `offset`.
  /// - Throws: `IO-READ`, also when the file ends before the buffer is full.
  package func read(
    at offset: UInt64, into buffer: inout MutableSpan<UInt8>
  ) throws(MigrationError) {
    try descriptor.read(at: offset, into: &buffer)
  }

  /// Makes `count` bytes at `offset` zero again, a hole where that is possible.
  /// - Throws: `IO-WRITE`.
  package func clear(at offset: UInt64, count: Int) throws(MigrationError) {
    try descriptor.clear(at: offset, count: count)
  }

  /// The file, opened for reading, with the size that it has now.
  /// - Throws: `INPUT-OPEN`.
  package func input() throws(MigrationError) -> InputFile {
    try InputFile(duplicating: descriptor)
  }

  /// Sets the size of the file in bytes. Bytes that are never written read as zero and take no
  /// space.
  /// - Throws: `IO-WRITE`.
  package func resize(to size: UInt64) throws(MigrationError) {
    try descriptor.resize(to: size)
  }
}

extension DescribedFile where Self: ByteOutput {
  /// Writes all of `bytes` at the current position.
  /// - Throws: `IO-WRITE`.
  package func write(_ bytes: Span<UInt8>) throws(MigrationError) { try descriptor.write(bytes) }

  /// Waits until the bytes are on the disk, so that giving them their name is unlikely to fail.
  /// - Throws: `IO-WRITE`.
  package func synchronize() throws(MigrationError) { try descriptor.synchronize() }
}
