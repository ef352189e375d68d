public import Bytes
internal import Glibc
internal import SystemPackage

/// Runs `body` while no other caller of this function, in any process, is in it for the same file.
///
/// Meant for files that are replaced as a whole: whoever waited looks at the file that stands there
/// then. On a file system without locks `body` runs without one.
/// - Throws: `INPUT-OPEN` when the file cannot be opened; what `body` throws.
public func withLockedFile<Value>(
  _ path: String, _ body: () throws(MigrationError) -> Value
) throws(MigrationError) -> Value {
  while true {
    let descriptor: FileDescriptor
    let held: FileIdentity
    do {
      descriptor = try SystemCall.typed {
        try FileDescriptor.open(FilePath(path), .readOnly, options: [.closeOnExec])
      }
      held = FileIdentity(try Stat(descriptor))
    } catch {
      throw MigrationError(.inputOpen, "cannot open", displayName(path), error)
    }
    // Closing gives the lock back.
    defer { try? descriptor.close() }
    while flock(descriptor.rawValue, LOCK_EX) == -1, errno == EINTR {}
    if FileIdentity.ofOutput(path) == held { return try body() }
  }
}
