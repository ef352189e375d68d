package import Errors
internal import SystemPackage
package import Wire

/// A file without a name, for data that are too large for memory. Its space is freed when the
/// object is freed or the process ends, however it ends.
///
/// It lies in the folder that `TMPDIR` names, else in `/var/tmp`: `/tmp` is memory on many systems.
package final class TemporaryFile: PositionedFile {
  private let descriptor: OutputDescriptor

  /// - Parameter size: size in bytes. Bytes that are never written read as zero and take no space.
  /// - Throws: `OUTPUT-CREATE`, `IO-WRITE`.
  package init(size: UInt64) throws(MigrationError) {
    let folder = try temporaryFolder()
    guard let path = folder.appending("svsm-migration").beside("temporary") else {
      throw MigrationError(.internal, "temporary file has no name")
    }
    do {
      descriptor = OutputDescriptor(
        try SystemCall.typed {
          try FileDescriptor.open(
            path, .readWrite, options: [.create, .exclusiveCreate, .closeOnExec],
            permissions: [.ownerReadWrite])
        }, name: "a temporary file in \(displayName(folder.string))")
      try SystemCall.unlink(path)
    } catch {
      throw MigrationError(
        .outputCreate, "cannot create a temporary file in", displayName(folder.string), error)
    }
    try descriptor.resize(to: size)
  }

  /// The file, opened for reading. Its size is the one with which it was made.
  /// - Throws: `INPUT-OPEN`.
  package func input() throws(MigrationError) -> InputFile {
    try InputFile(duplicating: descriptor)
  }

  /// Writes the pieces of `bytes` one after the other without gaps, beginning at `offset`.
  /// - Throws: `IO-WRITE`.
  package func write(
    _ bytes: Span<UInt8>, _ pieces: SpacedPieces, at offset: UInt64
  ) throws(MigrationError) {
    try descriptor.write(bytes, pieces, at: offset)
  }

  /// Writes all of `bytes` at `offset`.
  /// - Throws: `IO-WRITE`.
  package func write(_ bytes: Span<UInt8>, at offset: UInt64) throws(MigrationError) {
    try descriptor.write(bytes, at: offset)
  }

  /// Makes `count` bytes at `offset` zero again, a hole where that is possible.
  /// - Throws: `IO-WRITE`.
  package func clear(at offset: UInt64, count: Int) throws(MigrationError) {
    try descriptor.clear(at: offset, count: count)
  }

  /// Fills `buffer` with the bytes of the file that begin at `offset`.
  /// - Throws: `IO-READ`, also when the file ends before the buffer is full.
  package func read(
    at offset: UInt64, into buffer: inout MutableSpan<UInt8>
  ) throws(MigrationError) {
    try descriptor.read(at: offset, into: &buffer)
  }
}
