package import Errors
internal import SystemPackage

/// The identity of a file: two names or descriptors refer to the same file when these values are
/// equal.
package struct FileIdentity: Sendable, Hashable {
  /// Number of the device that holds the file system.
  package var device: UInt64
  /// Inode number in that file system.
  package var inode: UInt64

  init(_ status: Stat) {
    device = UInt64(truncatingIfNeeded: status.deviceID.rawValue)
    inode = UInt64(truncatingIfNeeded: status.inode.rawValue)
  }

  /// The folder that contains the file at `path`, after following symbolic links; nil when there is
  /// no such file.
  package static func ofFolder(of path: String) -> FileIdentity? {
    guard let file = try? SystemCall.realPath(FilePath(path)) else { return nil }
    return (try? Stat(file.removingLastComponent())).map { FileIdentity($0) }
  }

  /// The regular file or folder at `path`, or nil when there is none. "-" is standard output.
  package static func ofOutput(_ path: String) -> FileIdentity? {
    of(path, orElse: .standardOutput)
  }

  /// The same of an input: "-" is standard input.
  package static func ofInput(_ path: String) -> FileIdentity? {
    of(path, orElse: .standardInput)
  }

  private static func of(_ path: String, orElse standard: FileDescriptor) -> FileIdentity? {
    let status = path == "-" ? try? Stat(standard) : try? Stat(FilePath(path))
    guard let status, status.type == .regular || status.type == .directory else { return nil }
    return FileIdentity(status)
  }
}

/// Refuses an output that is the same file or folder as an input.
/// - Throws: `OUTPUT-SAME`.
package func refuseSame(_ input: FileIdentity?, as output: String) throws(MigrationError) {
  guard let input, FileIdentity.ofOutput(output) == input else { return }
  let name = output == "-" ? "standard output" : displayName(output)
  throw MigrationError(.outputSame, "input and output are the same file: \(name)")
}

/// Whether `path` is a folder, or a symbolic link to one.
package func isFolder(_ path: String) -> Bool {
  (try? Stat(FilePath(path)))?.type == .directory
}

/// Whether `path` is a folder, and not a symbolic link to one.
package func isOwnFolder(_ path: String) -> Bool {
  (try? Stat(FilePath(path), followTargetSymlink: false))?.type == .directory
}
