package import Errors
internal import SystemPackage

/// Which file a name or descriptor stands for: two are one file when these are equal.
package struct FileIdentity: Sendable, Hashable {
  package var device: UInt64
  package var inode: UInt64

  init(_ status: Stat) {
    device = UInt64(truncatingIfNeeded: status.deviceID.rawValue)
    inode = UInt64(truncatingIfNeeded: status.inode.rawValue)
  }

  /// The folder that the file at `path` is in, every link to the file followed; nil when there is none.
  package static func ofFolder(of path: String) -> FileIdentity? {
    guard let file = try? SystemCall.realPath(FilePath(path)) else { return nil }
    return (try? Stat(file.removingLastComponent())).map { FileIdentity($0) }
  }

  /// The regular file or folder at `path`, or nil when there is none. "-" is standard output.
  package static func ofOutput(_ path: String) -> FileIdentity? {
    let status = path == "-" ? try? Stat(FileDescriptor.standardOutput) : try? Stat(FilePath(path))
    guard let status, status.type == .regular || status.type == .directory else { return nil }
    return FileIdentity(status)
  }
}

/// Refuses an output that is the very file or folder an input is read from.
/// - Throws: `OUTPUT-SAME`.
package func refuseSame(_ input: FileIdentity?, as output: String) throws(MigrationError) {
  guard let input, FileIdentity.ofOutput(output) == input else { return }
  let name = output == "-" ? "standard output" : displayName(output)
  throw MigrationError(.outputSame, "input and output are the same file: \(name)")
}

/// Whether `path` is a folder, or a link to one.
package func isFolder(_ path: String) -> Bool {
  (try? Stat(FilePath(path)))?.type == .directory
}
