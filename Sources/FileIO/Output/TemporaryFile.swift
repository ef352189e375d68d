package import Errors
internal import SystemPackage
package import Wire

/// A file without a name, for what is too large for memory. Its space is free again when the object
/// or the process ends, however it ends.
///
/// It lies in the folder that `TMPDIR` names, else in `/var/tmp`: `/tmp` is memory on many systems.
package final class TemporaryFile: Sendable {
  private let descriptor: OutputDescriptor

  /// - Parameter size: bytes. What is not written reads as zero and takes no space.
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

  /// The file, to be read; its size is what it was made with.
  /// - Throws: `INPUT-OPEN`.
  package func input() throws(MigrationError) -> InputFile {
    try InputFile(duplicating: descriptor)
  }

  /// Writes the pieces of `bytes` one behind the other from `offset` on.
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

  /// Fills `buffer` with what was written at `offset`.
  /// - Throws: `IO-READ`, also when the file is not that long.
  package func read(
    at offset: UInt64, into buffer: inout MutableSpan<UInt8>
  ) throws(MigrationError) {
    try descriptor.read(at: offset, into: &buffer)
  }
}
