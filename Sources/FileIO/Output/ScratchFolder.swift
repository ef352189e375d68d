package import Errors
internal import SystemPackage
package import Wire

/// A folder for temporary files. It is removed with all its files when the object is freed.
///
/// It lies in the folder that `TMPDIR` names, else in `/var/tmp`, and only its owner can read it. A
/// caller that makes a folder in it must remove that folder itself.
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

  /// Path of the folder.
  package var path: String { folder.string }

  /// Path of the file `name`, which is a name that the program defines.
  package func path(_ name: String) -> String { folder.appending(name).string }

  /// Writes the file `name`. The file is not synchronized to disk, since it does not outlive the
  /// process.
  /// - Throws: `OUTPUT-CREATE`, `IO-WRITE`.
  package func write(_ name: String, _ bytes: [UInt8]) throws(MigrationError) {
    try output(name).write(bytes.span)
  }

  /// A new file `name`, which is written from its first byte to its last.
  /// - Throws: `OUTPUT-CREATE`.
  package func output(_ name: String) throws(MigrationError) -> any ByteOutput {
    try Self.create(folder.appending(name), name)
  }

  /// Copies the regular file `name`, or the folder of regular files of that name, from `source`. No symbolic link
  /// is followed.
  /// - Throws: `INPUT-OPEN`, `INPUT-KIND`, `IO-READ`, `OUTPUT-CREATE`, `IO-WRITE`.
  package func copy(_ name: String, of source: InputFolder) throws(MigrationError) {
    let target = folder.appending(name)
    guard source.hasFolder(name) else { return try Self.copy(name, of: source, to: target) }
    let inner = try source.folder(name)
    do {
      try SystemCall.makeFolder(target, [.ownerReadWriteExecute])
    } catch {
      throw MigrationError(.outputCreate, "cannot create", name, error)
    }
    for file in try inner.names() {
      try Self.copy(file, of: inner, to: target.appending(file))
    }
  }

  private static func copy(
    _ name: String, of source: InputFolder, to target: FilePath
  ) throws(MigrationError) {
    let input = try source.file(name)
    let output = try create(target, name)
    try input.readPieces { (bytes) throws(MigrationError) in try output.write(bytes) }
  }

  private static func create(
    _ path: FilePath, _ name: String
  ) throws(MigrationError) -> OutputDescriptor {
    do {
      return OutputDescriptor(
        try SystemCall.typed {
          try FileDescriptor.open(
            path, .writeOnly, options: [.create, .truncate, .closeOnExec],
            permissions: [.ownerReadWrite])
        }, name: name)
    } catch {
      throw MigrationError(.outputCreate, "cannot create", name, error)
    }
  }

  /// Removes a folder of files that was made in this folder; does nothing when there is no such
  /// folder.
  package func removeFolder(_ name: String) {
    let inner = folder.appending(name)
    for file in (try? SystemCall.entries(of: inner)) ?? [] {
      try? SystemCall.unlink(inner.appending(file))
    }
    try? SystemCall.removeFolder(inner)
  }

  /// Sorted names of everything in the folder.
  /// - Throws: `IO-READ`.
  package func names() throws(MigrationError) -> [String] {
    do {
      return try SystemCall.entries(of: folder).sorted()
    } catch {
      throw MigrationError(.readFailed, "cannot list", displayName(folder.string), error)
    }
  }
}
