package import Errors
internal import SystemPackage

/// A folder for files that are only needed for a while; it goes with the object, files and all.
///
/// It lies in the folder that `TMPDIR` names, else in `/var/tmp`, and is readable by its owner alone.
/// Who makes a folder in it removes it again.
package final class ScratchFolder: Sendable {
  private let folder: FilePath
  private let key: UInt64

  /// - Throws: `OUTPUT-CREATE`.
  package init() throws(MigrationError) {
    let parent = try temporaryFolder()
    guard let folder = parent.appending("svsm-migration").beside("scratch") else {
      throw MigrationError(.internal, "scratch folder has no name")
    }
    do {
      key = try Registry.shared.add(.init(folder: folder)) { () throws(Errno) in
        try SystemCall.makeFolder(folder, [.ownerReadWriteExecute])
      }
    } catch {
      throw MigrationError(
        .outputCreate, "cannot create a scratch folder in", displayName(parent.string), error)
    }
    self.folder = folder
  }

  deinit {
    for name in (try? SystemCall.entries(of: folder)) ?? [] {
      try? SystemCall.unlink(folder.appending(name))
    }
    Registry.shared.discard(key)
  }

  /// Path of the file `name`, a name of the program's own.
  package func path(_ name: String) -> String { folder.appending(name).string }

  /// Makes the file `name`, which is not kept beyond the process: nothing waits for the disk.
  /// - Throws: `OUTPUT-CREATE`, `IO-WRITE`.
  package func write(_ name: String, _ bytes: [UInt8]) throws(MigrationError) {
    let output: OutputDescriptor
    do {
      output = OutputDescriptor(
        try SystemCall.typed {
          try FileDescriptor.open(
            folder.appending(name), .writeOnly, options: [.create, .truncate, .closeOnExec],
            permissions: [.ownerReadWrite])
        }, name: name)
    } catch {
      throw MigrationError(.outputCreate, "cannot create", name, error)
    }
    try output.write(bytes.span)
  }

  /// Removes a folder of files that was made in it; does nothing when there is none.
  package func removeFolder(_ name: String) {
    let inner = folder.appending(name)
    for file in (try? SystemCall.entries(of: inner)) ?? [] {
      try? SystemCall.unlink(inner.appending(file))
    }
    try? SystemCall.removeFolder(inner)
  }

  /// Names of all that is in it, in order.
  /// - Throws: `IO-READ`.
  package func names() throws(MigrationError) -> [String] {
    do {
      return try SystemCall.entries(of: folder).sorted()
    } catch {
      throw MigrationError(.readFailed, "cannot list", displayName(folder.string), error)
    }
  }
}
