internal import Errors
internal import SystemPackage

/// A finished output that has no name yet: where it lies hidden, and which file or folder it is.
///
/// Who stores it can find the output again after a crash, also once it has its name: a rename changes
/// neither its number nor the time at which it was made. A number alone would not do, since the next file
/// may get that of one that was removed.
package struct UnnamedOutput: Sendable, Hashable {
  /// Absolute path of the hidden name, as bytes; no link is in it.
  package let path: [UInt8]
  /// Number of the file or folder in its file system.
  package let inode: UInt64

  /// When it was made, in nanoseconds since 1970; 0 on a file system that does not know.
  package let birth: UInt64

  /// One that was stored. Nothing is looked for yet.
  package init(path: [UInt8], inode: UInt64, birth: UInt64) {
    (self.path, self.inode, self.birth) = (path, inode, birth)
  }

  init(_ path: FilePath, name: String) throws(MigrationError) {
    do {
      let absolute = try SystemCall.realPath(path)
      inode = UInt64(truncatingIfNeeded: try Stat(absolute).inode.rawValue)
      birth = try SystemCall.birthTime(of: absolute)
      // The C string is copied within the call.
      self.path = unsafe absolute.withPlatformString { text in
        unsafe Array(UnsafeBufferPointer(start: text, count: absolute.length))
          .map { UInt8(bitPattern: $0) }
      }
    } catch {
      throw MigrationError(.outputCreate, "cannot find what becomes", name, error)
    }
  }

  /// The hidden path as messages show it.
  package var name: String { displayName(filePath.string) }

  /// Whether it lies under its hidden name still.
  package var isThere: Bool { isFile(at: filePath) }

  /// Whether it is what stands at `path`.
  package func isNamed(_ path: String) -> Bool { isFile(at: FilePath(path)) }

  /// Whether it is a folder.
  package var isFolder: Bool { (try? Stat(filePath))?.type == .directory }

  var filePath: FilePath {
    let text = path.map { CChar(bitPattern: $0) } + [0]
    // Ends with a zero; a zero before it would only shorten the path.
    return unsafe text.withUnsafeBufferPointer { text in
      guard let start = text.baseAddress else { return FilePath() }
      return unsafe FilePath(platformString: start)
    }
  }

  /// Opens what lies under the hidden name.
  func open() throws -> FileDescriptor {
    let descriptor = try SystemCall.typed {
      try FileDescriptor.open(
        filePath, .readOnly, options: [.closeOnExec, .nonBlocking, .noFollow])
    }
    guard isThere else {
      try descriptor.close()
      throw Errno.noSuchFileOrDirectory
    }
    return descriptor
  }

  private func isFile(at path: FilePath) -> Bool {
    guard let status = try? Stat(path), status.type == .regular || status.type == .directory else {
      return false
    }
    return UInt64(truncatingIfNeeded: status.inode.rawValue) == inode
      && (try? SystemCall.birthTime(of: path)) == birth
  }
}
