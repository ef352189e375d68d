package import Errors
internal import Synchronization
internal import SystemPackage
internal import Wire

/// A folder of files that appears whole or not at all.
///
/// The files are made in a temporary folder next to the target, which `commit()` renames to the
/// target; otherwise everything is removed, as with `OutputFile`. The program defines all names in
/// it.
package final class OutputFolder: Sendable {
  /// One file of the folder. It becomes part of the output when the folder is committed.
  package final class File: ByteOutput, DescribedFile {
    package let descriptor: OutputDescriptor

    init(_ descriptor: OutputDescriptor) { self.descriptor = descriptor }
  }

  /// The path as messages show it.
  package let name: String
  private let place: OutputPlace
  private let temporary: FilePath
  private let key: UInt64
  private let permissions: OutputFile.Permissions
  private let isFinished = Atomic<Bool>(false)

  /// Makes the temporary folder.
  /// - Parameters:
  ///   - force: whether an existing folder may be replaced. That is done only if the folder holds
  ///     `marker`, and only regular files whose names `isOurs` accepts: nothing else is ever
  ///     removed.
  ///   - marker: name of the file by which such a folder is recognized.
  ///   - isOurs: whether a name is one that this program makes.
  /// - Throws: `OUTPUT-EXISTS`, `OUTPUT-CREATE`.
  package init(
    _ path: String, force: Bool = false, marker: String,
    permissions: OutputFile.Permissions = .public, isOurs: (String) -> Bool
  ) throws(MigrationError) {
    name = displayName(path)
    self.permissions = permissions
    do {
      place = try OutputPlace.ofFolder(path, force: force, marker: marker, isOurs: isOurs)
      guard let temporary = place.path.beside("partial") else { throw Errno.invalidArgument }
      self.temporary = temporary
      let bits = permissions.bits.asFolder
      key = try Registry.shared.add(.init(folder: temporary)) { () throws(Errno) in
        try SystemCall.makeFolder(temporary, bits)
      }
    } catch let refusal as MigrationError {
      throw refusal
    } catch {
      throw MigrationError(
        .outputCreate, "cannot create", displayName(path), (error as? Errno) ?? .ioError)
    }
  }

  /// Takes over a finished folder that lies under a hidden name, so that `commit` can rename it to
  /// `path`.
  /// - Throws: `OUTPUT-EXISTS`; `OUTPUT-CREATE` when the folder is no longer there.
  package init(
    resuming unnamed: UnnamedOutput, as path: String, force: Bool, marker: String,
    isOurs: (String) -> Bool
  ) throws(MigrationError) {
    name = displayName(path)
    permissions = .private
    key = Registry.noKey
    temporary = unnamed.filePath
    do {
      place = try OutputPlace.ofFolder(path, force: force, marker: marker, isOurs: isOurs)
      try unnamed.open().close()
    } catch let refusal as MigrationError {
      throw refusal
    } catch {
      throw MigrationError(
        .outputCreate, "cannot create", displayName(path), (error as? Errno) ?? .ioError)
    }
  }

  deinit { discard() }

  /// Creates an empty file in the folder. The program defines the name `file`; it never comes from
  /// an input.
  /// - Throws: `OUTPUT-CREATE`.
  package func create(_ file: String) throws(MigrationError) -> File {
    guard let component = FilePath.Component(file), component.kind == .regular,
      !isFinished.load(ordering: .acquiring)
    else {
      throw MigrationError(.internal, "no file can be made in \(name)")
    }
    let path = temporary.appending(component)
    let shown = "\(name)/\(file)"
    do {
      var descriptor: FileDescriptor?
      let bits = permissions.bits
      try Registry.shared.add(file: path, to: key) { () throws(Errno) in
        descriptor = try SystemCall.typed {
          try FileDescriptor.open(
            path, .readWrite, options: [.create, .exclusiveCreate, .closeOnExec],
            permissions: bits)
        }
      }
      guard let descriptor else { throw Errno.ioError }
      return File(OutputDescriptor(descriptor, name: shown, isKept: true))
    } catch {
      throw MigrationError(.outputCreate, "cannot create", shown, (error as? Errno) ?? .ioError)
    }
  }

  /// Makes the folder durable under its hidden name. To be called after all files have been
  /// synchronized.
  /// - Returns: the hidden name and the identity of the folder.
  /// - Throws: `IO-WRITE`; `OUTPUT-CREATE` when the folder cannot be found.
  package func unnamed() throws(MigrationError) -> UnnamedOutput {
    try OutputDescriptor.synchronize(folder: temporary)
    try OutputDescriptor.synchronize(folder: temporary.removingLastComponent())
    return try UnnamedOutput(temporary, name: name)
  }

  /// Keeps the folder on the disk from now on, even if it never gets its name.
  package func keep() { Registry.shared.forget(key) }

  /// Makes the folder durable and gives it its name. To be called once, after all files have been
  /// synchronized.
  /// - Throws: `IO-WRITE`, `OUTPUT-CREATE`; `OUTPUT-EXISTS` when something of that name has
  ///   appeared in the meantime. After an error the temporary folder is removed.
  package func commit() throws(MigrationError) {
    guard !isFinished.exchange(true, ordering: .acquiringAndReleasing) else {
      throw MigrationError(.internal, "\(name) was finished before")
    }
    do {
      try OutputDescriptor.synchronize(folder: temporary)
      try rename()
    } catch {
      Registry.shared.discard(key)
      throw error
    }
    try place.synchronize([name])
  }

  /// Abandons the folder and removes its files. Does nothing after `commit()`.
  package func discard() {
    guard !isFinished.exchange(true, ordering: .acquiringAndReleasing) else { return }
    Registry.shared.discard(key)
  }

  private func rename() throws(MigrationError) {
    var old: FilePath?
    do {
      try Registry.shared.settle(key) { () throws(Errno) in
        guard place.replaces else { return try place.take(temporary) }
        old = try place.exchange(temporary)
      }
    } catch Errno.fileExists, Errno.directoryNotEmpty {
      throw OutputPlace.exists(name)
    } catch {
      throw MigrationError(.outputCreate, "cannot create", name, error)
    }
    // The new folder has its name. The old one is no longer needed: failing to remove it is not an
    // error.
    if let old {
      let files = (try? SystemCall.entries(of: old)) ?? []
      Registry.Entry(files: files.map { old.appending($0) }, folder: old).remove()
    }
  }
}

extension FilePermissions {
  /// These permissions for a folder: everybody who may read it may also search it.
  var asFolder: FilePermissions {
    var bits = self.union(.ownerExecute)
    if contains(.groupRead) { bits.insert(.groupExecute) }
    if contains(.otherRead) { bits.insert(.otherExecute) }
    return bits
  }
}
