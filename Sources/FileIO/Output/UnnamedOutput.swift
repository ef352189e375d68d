internal import Errors
internal import SystemPackage

/// A finished output that does not have its name yet: its hidden path, and the identity of the file
/// or folder.
///
/// A program that stores it can find the output again after a crash, even when it has been renamed:
/// a rename changes neither the inode number nor the creation time. The number alone is not enough,
/// since a new file may get the number of one that was removed.
package struct UnnamedOutput: Sendable, Hashable {
  /// Absolute hidden path, as bytes; it contains no symbolic links.
  package let path: [UInt8]
  /// Inode number of the file or folder.
  package let inode: UInt64

  /// Creation time in nanoseconds since 1970; 0 on a file system that does not record it.
  package let birth: UInt64

  /// Makes the value from stored fields. It does not access the file system.
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

  /// Whether the output still lies at its hidden path.
  package var isThere: Bool { isFile(at: filePath) }

  /// Whether the file or folder at `path` is this output.
  package func isNamed(_ path: String) -> Bool { isFile(at: FilePath(path)) }

  /// Whether the output at the hidden path is a folder.
  package var isFolder: Bool { (try? Stat(filePath))?.type == .directory }

  /// Whether the file at the hidden path begins with `bytes`; false when it cannot be read.
  package func begins(with bytes: [UInt8]) -> Bool {
    guard let file = try? open() else { return false }
    defer { try? file.close() }
    var found = [UInt8](repeating: 0, count: bytes.count)
    // The buffer is filled within the call.
    let count = unsafe found.withUnsafeMutableBytes { unsafe try? file.read(into: $0) }
    return count == bytes.count && found == bytes
  }

  var filePath: FilePath {
    let text = path.map { CChar(bitPattern: $0) } + [0]
    // The array ends with a zero; an earlier zero would only shorten the path.
    return unsafe text.withUnsafeBufferPointer { text in
      guard let start = text.baseAddress else { return FilePath() }
      return unsafe FilePath(platformString: start)
    }
  }

  /// Opens the output at its hidden path for reading.
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
