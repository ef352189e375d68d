package import Errors
internal import Glibc
internal import SystemPackage
internal import Wire

/// Runs `body` while no other caller of this function, in any process, runs its body for the same
/// file.
///
/// It is meant for files that are replaced as a whole: a caller that had to wait gets the file that
/// is at `path` afterwards. On a file system without locks `body` runs without a lock.
/// - Parameter waiting: called before waiting, when another caller holds the lock.
/// - Throws: `INPUT-OPEN` when the file cannot be opened; `INPUT-KIND` when it is not a regular
///   file; what `body` throws.
package func withLockedFile<Value>(
  _ path: String, waiting: () -> Void = {},
  _ body: (LockedFile) throws(MigrationError) -> Value
) throws(MigrationError) -> Value {
  while true {
    let descriptor: FileDescriptor
    let held: FileIdentity
    do {
      descriptor = try SystemCall.typed {
        try FileDescriptor.open(FilePath(path), .readOnly, options: [.closeOnExec, .nonBlocking])
      }
    } catch {
      throw MigrationError(.inputOpen, "cannot open", displayName(path), error)
    }
    // Closing releases the lock.
    defer { try? descriptor.close() }
    guard let status = try? Stat(descriptor), status.type == .regular else {
      throw MigrationError(
        .inputKind, "cannot lock and replace \(displayName(path))", expected: "a regular file")
    }
    held = FileIdentity(status)
    FileLock.take(descriptor, waiting: waiting)
    guard FileIdentity.ofOutput(path) == held else { continue }
    let file = LockedFile(path)
    defer { file.release() }
    return try body(file)
  }
}

/// A file that `withLockedFile` holds.
package final class LockedFile {
  private let path: String
  /// Files that have replaced the file: each is locked before it is renamed, so that the path is
  /// locked without interruption.
  private var replacements: [OutputFile] = []

  fileprivate init(_ path: String) { self.path = path }

  /// Replaces the file as a whole: after a crash at any point the file has either the old or the
  /// new content. The same holds after an error.
  /// - Throws: `OUTPUT-CREATE`, `IO-WRITE`.
  package func replace(
    with bytes: [UInt8], permissions: OutputFile.Permissions
  ) throws(MigrationError) {
    let output = try OutputFile(path, force: true, permissions: permissions)
    try output.write(bytes)
    output.lock()
    replacements.append(output)
    try output.commit()
  }

  /// Waits until the present file is on the disk under its name: another run may have ended after
  /// it renamed the file and before it synchronized the folder.
  /// - Throws: `IO-WRITE`.
  package func synchronizeName() throws(MigrationError) {
    try OutputDescriptor.synchronize(folder: FilePath(path).removingLastComponent())
  }

  fileprivate func release() { replacements = [] }
}

enum FileLock {
  /// Takes an exclusive lock by flock(2), and waits until it is available.
  /// - Parameter waiting: called before waiting, when another process holds the lock.
  static func take(_ descriptor: FileDescriptor, waiting: () -> Void = {}) {
    if flock(descriptor.rawValue, LOCK_EX | LOCK_NB) == 0 { return }
    if errno == EWOULDBLOCK { waiting() }
    while flock(descriptor.rawValue, LOCK_EX) == -1, errno == EINTR {}
  }
}
