package import Errors
internal import Synchronization
internal import SystemPackage
internal import Wire

/// An open file descriptor for writing, and the name of the file as messages show it. The
/// descriptor is closed when this object is freed, unless it is standard output.
package final class OutputDescriptor: ByteOutput, Sendable {
  /// Number of bytes that one call writes. With more, a file system takes larger pieces of memory for its
  /// cache, which are found more slowly: 1 MiB at a time took twice as long on ext4 in a virtual machine.
  private static let callSize = 256 << 10

  /// Number of bytes after which the kernel is told to begin to put them on the disk: by itself it waits
  /// until much of the memory is full, and `synchronize` would wait for all of it.
  private static let startSize = 8 << 20

  let name: String
  let raw: FileDescriptor
  /// Whether the file has to be on the disk in the end.
  private let isKept: Bool
  /// Bytes that were written since the kernel was last told so.
  private let unstarted = Atomic<Int>(0)

  init(_ raw: FileDescriptor, name: String, isKept: Bool = false) {
    (self.raw, self.name, self.isKept) = (raw, name, isKept)
  }

  deinit {
    if raw != .standardOutput { try? raw.close() }
  }

  /// Writes all of `bytes` at the current position.
  package func write(_ bytes: Span<UInt8>) throws(MigrationError) {
    do {
      try unsafe bytes.withUnsafeBytes { (bytes) throws(Errno) in
        var sent = 0
        while sent < bytes.count {
          sent += try SystemCall.typed {
            try unsafe raw.write(.init(rebasing: bytes[sent...].prefix(Self.callSize)))
          }
        }
      }
    } catch {
      throw MigrationError(.writeFailed, "cannot write", name, error)
    }
    noteWritten(bytes.count)
  }

  /// Moves the current position forward by `count` bytes. The skipped bytes read as zero once
  /// something is written after them.
  func advance(by count: UInt64) throws(MigrationError) {
    do {
      guard let count = Int64(exactly: count) else { throw Errno.fileTooLarge }
      _ = try SystemCall.typed { try raw.seek(offset: count, from: .current) }
    } catch let failure as Errno {
      throw MigrationError(.writeFailed, "cannot write", name, failure)
    } catch {
      throw MigrationError(.writeFailed, "cannot write", name, .ioError)
    }
  }

  /// Writes all of `bytes` at `offset`.
  func write(_ bytes: Span<UInt8>, at offset: UInt64) throws(MigrationError) {
    do {
      try unsafe bytes.withUnsafeBytes { (bytes) throws(Errno) in
        var sent = 0
        while sent < bytes.count {
          guard let position = Int64(exactly: offset &+ UInt64(sent)) else { throw .fileTooLarge }
          sent += try SystemCall.typed {
            try unsafe raw.write(
              toAbsoluteOffset: position, .init(rebasing: bytes[sent...].prefix(Self.callSize)))
          }
        }
      }
    } catch {
      throw MigrationError(.writeFailed, "cannot write", name, error, at: offset)
    }
    noteWritten(bytes.count)
  }

  /// Makes `count` bytes at `offset` zero: a hole, where the file system has holes.
  func clear(at offset: UInt64, count: Int) throws(MigrationError) {
    do {
      guard let position = Int64(exactly: offset) else { throw Errno.fileTooLarge }
      try SystemCall.punchHole(raw, at: position, count: Int64(count))
    } catch Errno.notSupported {
      try write([UInt8](repeating: 0, count: count).span, at: offset)
    } catch let failure as Errno {
      throw MigrationError(.writeFailed, "cannot write", name, failure, at: offset)
    } catch {
      throw MigrationError(.writeFailed, "cannot write", name, .ioError, at: offset)
    }
  }

  /// Writes the pieces of `bytes` one after the other without gaps, beginning at `offset`.
  func write(
    _ bytes: Span<UInt8>, _ pieces: SpacedPieces, at offset: UInt64
  ) throws(MigrationError) {
    do {
      try SystemCall.write(raw, at: offset, bytes, pieces)
    } catch {
      throw MigrationError(.writeFailed, "cannot write", name, error, at: offset)
    }
    noteWritten(pieces.count * pieces.size)
  }

  private func noteWritten(_ count: Int) {
    guard isKept,
      unstarted.add(count, ordering: .relaxed).newValue >= Self.startSize
    else { return }
    unstarted.store(0, ordering: .relaxed)
    SystemCall.startSynchronizing(raw)
  }

  /// Fills `buffer` with the bytes of the file that begin at `offset`.
  func read(at offset: UInt64, into buffer: inout MutableSpan<UInt8>) throws(MigrationError) {
    do {
      try unsafe buffer.withUnsafeMutableBytes { (bytes) throws(Errno) in
        var filled = 0
        while filled < bytes.count {
          guard let position = Int64(exactly: offset &+ UInt64(filled)) else { throw .ioError }
          let count = try SystemCall.typed {
            try unsafe raw.read(
              fromAbsoluteOffset: position, into: .init(rebasing: bytes[filled...]))
          }
          guard count > 0 else { throw .ioError }
          filled += count
        }
      }
    } catch {
      throw MigrationError(.readFailed, "cannot read back", name, error, at: offset)
    }
  }

  /// Sets the size of the file in bytes. Bytes that are never written read as zero and take no
  /// space.
  func resize(to size: UInt64) throws(MigrationError) {
    do {
      guard let size = Int64(exactly: size) else { throw Errno.fileTooLarge }
      try SystemCall.typed { try raw.resize(to: size) }
    } catch let failure as Errno {
      throw MigrationError(.writeFailed, "cannot set the size of", name, failure)
    } catch {
      throw MigrationError(.writeFailed, "cannot set the size of", name, .ioError)
    }
  }

  /// Waits until the bytes are on the disk. Returns at once for a pipe or device.
  func synchronize() throws(MigrationError) {
    do {
      try SystemCall.synchronize(raw)
    } catch Errno.invalidArgument, Errno.notSupported, Errno.readOnlyFileSystem {
      return  // a pipe or device
    } catch {
      throw MigrationError(.writeFailed, "cannot write", name, error)
    }
  }

  /// Waits until a folder's entries are on the disk. Does nothing when the folder cannot be opened.
  static func synchronize(folder: FilePath) throws(MigrationError) {
    let path = folder.isEmpty ? FilePath(".") : folder
    let descriptor = try? FileDescriptor.open(path, .readOnly, options: [.directory, .closeOnExec])
    guard let descriptor else { return }
    try OutputDescriptor(descriptor, name: displayName(path.string)).synchronize()
  }
}
