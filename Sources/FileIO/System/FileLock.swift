package import Errors
internal import Glibc
internal import SystemPackage
internal import Wire

/// Runs `body` while no other caller of this function, in any process, is in it for the same file.
///
/// Meant for files that are replaced as a whole: whoever waited looks at the file that stands there
/// then. On a file system without locks `body` runs without one.
/// - Parameter waiting: called before the lock is waited for, when another has it.
/// - Throws: `INPUT-OPEN` when the file cannot be opened; `INPUT-KIND` when it is no regular file; what
///   `body` throws.
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
    // Closing gives the lock back.
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
  /// What took the file's place: each is locked before it has the name, so that the lock never has a
  /// gap.
  private var replacements: [OutputFile] = []

  fileprivate init(_ path: String) { self.path = path }

  /// Replaces the file as a whole: after a crash at any point either the old or the new content
  /// stands there. After an error either may.
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

  /// Waits until what stands there now is on the disk under its name: another run may have been ended
  /// between naming it and that.
  /// - Throws: `IO-WRITE`.
  package func synchronizeName() throws(MigrationError) {
    try OutputDescriptor.synchronize(folder: FilePath(path).removingLastComponent())
  }

  fileprivate func release() { replacements = [] }
}

enum FileLock {
  /// flock(2), waiting for it.
  /// - Parameter waiting: called before that, when another has it.
  static func take(_ descriptor: FileDescriptor, waiting: () -> Void = {}) {
    if flock(descriptor.rawValue, LOCK_EX | LOCK_NB) == 0 { return }
    if errno == EWOULDBLOCK { waiting() }
    while flock(descriptor.rawValue, LOCK_EX) == -1, errno == EINTR {}
  }
}
