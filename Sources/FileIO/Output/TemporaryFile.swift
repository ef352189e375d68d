package import Errors
internal import SystemPackage

/// A file without a name, for data that are too large for memory. Its space is freed when the
/// object is freed or the process ends, however it ends.
///
/// It lies in the folder that `TMPDIR` names, else in `/var/tmp`: `/tmp` is memory on many systems.
package final class TemporaryFile: DescribedFile {
  package let descriptor: OutputDescriptor

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
}
