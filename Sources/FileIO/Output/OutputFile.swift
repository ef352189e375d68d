package import Errors
internal import Synchronization
internal import SystemPackage
internal import Wire

/// An output that appears whole or not at all; "-" is standard output.
///
/// The bytes go to a temporary file in the folder of the target, which `commit()` renames to the
/// target. Without `commit()`, the temporary file is removed by `discard()`, at the end of this
/// object's life or by a termination signal, and the target is unchanged. Standard output, devices
/// and fifos are written directly: bytes that were written to them cannot be taken back.
package final class OutputFile: SparseOutput, DescribedFile {
  /// The kind of data to be written. Binary data is not written to a terminal.
  package enum Content: Sendable { case binary, text }

  /// Access rights of a new file, masked by the process's umask.
  package struct Permissions: Sendable {
    let bits: FilePermissions
    /// 0644.
    package static let `public` = Permissions(bits: [.ownerReadWrite, .groupRead, .otherRead])
    /// 0600, for files that hold keys or private memory.
    package static let `private` = Permissions(bits: .ownerReadWrite)
  }

  /// A temporary file, its target, and its key in `Registry`.
  private struct Pending {
    var path: FilePath
    var place: OutputPlace
    var key: UInt64
  }

  /// The path as messages show it, or "standard output".
  package var name: String { descriptor.name }
  package let descriptor: OutputDescriptor
  private let pending: Pending?
  /// Whether `commit` or `discard` has been called.
  private let isFinished = Atomic<Bool>(false)

  /// Whether the output is written directly, without a temporary file: standard output, a device or
  /// a fifo.
  package var isDirect: Bool { pending == nil }

  /// The target of the rename; nil for a direct output.
  var place: OutputPlace? { pending?.place }

  /// Opens the output. Nothing appears at `path` before `commit()`.
  /// - Parameters:
  ///   - path: where the output goes; a symbolic link is followed.
  ///   - force: whether an existing file may be replaced.
  ///   - mustStay: whether the output must remain as a file, so that a device or fifo is refused.
  /// - Throws: `OUTPUT-EXISTS`, `OUTPUT-TERMINAL`, `OUTPUT-CREATE`.
  package init(
    _ path: String, force: Bool = false, content: Content = .binary,
    permissions: Permissions = .public, mustStay: Bool = false
  ) throws(MigrationError) {
    if path == "-" {
      descriptor = OutputDescriptor(.standardOutput, name: "standard output")
      pending = nil
    } else {
      let opened = try Self.open(FilePath(path), force: force, permissions, mustStay: mustStay)
      (descriptor, pending) = opened
    }
    if pending == nil, content == .binary, isTerminal(descriptor.raw) {
      throw MigrationError(
        .outputTerminal, "binary output is not written to a terminal (\(descriptor.name))")
    }
  }

  /// Takes over a finished file that lies under a hidden name, so that `commit` can rename it to
  /// `path`.
  /// - Throws: `OUTPUT-EXISTS`; `OUTPUT-CREATE` when the file is no longer there.
  package init(
    resuming unnamed: UnnamedOutput, as path: String, force: Bool
  ) throws(MigrationError) {
    let name = displayName(path)
    do {
      guard path != "-", let place = try OutputPlace.ofFile(FilePath(path), force: force) else {
        throw OutputPlace.noFile(path == "-" ? "standard output" : name)
      }
      descriptor = OutputDescriptor(try unnamed.open(), name: name)
      pending = Pending(path: unnamed.filePath, place: place, key: Registry.noKey)
    } catch let refusal as MigrationError {
      throw refusal
    } catch {
      throw MigrationError(.outputCreate, "cannot create", name, (error as? Errno) ?? .ioError)
    }
  }

  deinit { discard() }

  /// Writes `count` zeros at the current position. They become a hole, except in a direct output. A
  /// hole at the end does not extend the file.
  /// - Throws: `IO-WRITE`.
  package func writeHole(_ count: UInt64) throws(MigrationError) {
    if !isDirect { return try descriptor.advance(by: count) }
    let zeros = [UInt8](repeating: 0, count: Int(min(count, 256 << 10)))
    var left = count
    while left > 0 {
      let step = Int(min(left, UInt64(zeros.count)))
      try write(zeros.span.extracting(first: step))
      left -= UInt64(step)
    }
  }

  /// Makes the output durable under its hidden name. To be called after the last write.
  /// - Returns: the hidden name and the identity of the file; nil for a direct output.
  /// - Throws: `IO-WRITE`; `OUTPUT-CREATE` when the file cannot be found.
  package func unnamed() throws(MigrationError) -> UnnamedOutput? {
    try descriptor.synchronize()
    guard let pending else { return nil }
    try OutputDescriptor.synchronize(folder: pending.path.removingLastComponent())
    return try UnnamedOutput(pending.path, name: name)
  }

  /// Keeps the output on the disk from now on, even if it never gets its name.
  package func keep() {
    if let pending { Registry.shared.forget(pending.key) }
  }

  /// Locks the file, so that no other caller of `withLockedFile` can hold it while this object
  /// lives.
  func lock() { FileLock.take(descriptor.raw) }

  /// Makes the output durable and gives it its name. To be called once.
  /// - Throws: `IO-WRITE`, `OUTPUT-CREATE`; `OUTPUT-EXISTS` when a file of that name has appeared
  ///   in the meantime. After an error the temporary file is removed, unless `isNamed` is true:
  ///   then the output is complete, but its name may not be on the disk yet.
  package func commit() throws(MigrationError) {
    guard !isFinished.exchange(true, ordering: .acquiringAndReleasing) else {
      throw MigrationError(.internal, "\(name) was finished before")
    }
    guard let pending else { return try descriptor.synchronize() }
    do {
      try descriptor.synchronize()
      try Self.rename(pending, name: name)
    } catch {
      Registry.shared.discard(pending.key)
      throw error
    }
    try pending.place.synchronize([name])
  }

  /// Whether the file under the output's name is this output.
  package var isNamed: Bool {
    guard let place, let made = try? Stat(descriptor.raw),
      let found = try? Stat(place.path, followTargetSymlink: false)
    else { return false }
    return FileIdentity(made) == FileIdentity(found)
  }

  /// Gives the output its name in a way that can be undone; nil for a direct output. The temporary
  /// name remains registered until `Naming.settle`.
  func naming() throws(MigrationError) -> Naming? {
    guard !isFinished.load(ordering: .acquiring) else {
      throw MigrationError(.internal, "\(name) was finished before")
    }
    guard let pending else { return nil }
    var old: FilePath?
    do {
      if pending.place.replaces {
        old = try pending.place.exchange(pending.path)
      } else {
        try pending.place.take(pending.path)
      }
    } catch Errno.fileExists {
      throw OutputPlace.exists(name)
    } catch {
      throw MigrationError(.outputCreate, "cannot create", name, error)
    }
    return Naming(
      name: name, place: pending.place, temporary: pending.path, old: old, key: pending.key)
  }

  /// Abandons the output and removes the temporary file. Does nothing after `commit()`.
  package func discard() {
    guard !isFinished.exchange(true, ordering: .acquiringAndReleasing), let pending else { return }
    Registry.shared.discard(pending.key)
  }

  private static func open(
    _ path: FilePath, force: Bool, _ permissions: Permissions, mustStay: Bool
  ) throws(MigrationError) -> (OutputDescriptor, Pending?) {
    let name = displayName(path.string)
    do {
      guard let place = try OutputPlace.ofFile(path, force: force) else {
        guard !mustStay else { throw OutputPlace.noFile(name) }
        let descriptor = try SystemCall.typed {
          try FileDescriptor.open(path, .writeOnly, options: [.closeOnExec])
        }
        return (OutputDescriptor(descriptor, name: name), nil)
      }
      guard let temporary = place.path.beside("partial") else { throw Errno.invalidArgument }
      var descriptor: FileDescriptor?
      let key = try Registry.shared.add(.init(files: [temporary])) { () throws(Errno) in
        descriptor = try SystemCall.typed {
          try FileDescriptor.open(
            temporary, .readWrite, options: [.create, .exclusiveCreate, .closeOnExec],
            permissions: permissions.bits)
        }
      }
      guard let descriptor else { throw Errno.ioError }
      return (
        OutputDescriptor(descriptor, name: name, isKept: true),
        Pending(path: temporary, place: place, key: key)
      )
    } catch let refusal as MigrationError {
      throw refusal
    } catch {
      throw MigrationError(
        .outputCreate, "cannot create", name, (error as? Errno) ?? .ioError)
    }
  }

  private static func rename(_ pending: Pending, name: String) throws(MigrationError) {
    do {
      try Registry.shared.settle(pending.key) { () throws(Errno) in
        try pending.place.take(pending.path)
      }
    } catch Errno.fileExists {
      throw OutputPlace.exists(name)
    } catch {
      throw MigrationError(.outputCreate, "cannot create", name, error)
    }
  }
}
