package import Errors
internal import SystemPackage
package import Wire

/// A file, pipe or terminal that is open for reading; "-" is standard input.
///
/// Sequential and positioned reads do not affect each other. Several threads may make positioned
/// reads at once; only one thread may read sequentially.
package final class InputFile: Sendable {
  /// The kinds of file that can be read.
  package enum Kind: Sendable, Equatable {
    case regular
    /// A pipe, fifo or socket, which can be read once, from start to end.
    case pipe
    /// A terminal or another character device.
    case characterDevice
  }

  /// The kinds of file that may be opened.
  package enum Demand: Sendable {
    /// Everything that can be read. Opening a fifo waits for a writer, as a user who names a fifo
    /// expects.
    case anyKind
    /// A regular file, or a symbolic link to one. Opening never blocks.
    case regular
    /// A regular file and not a symbolic link. For files in a folder that somebody else may have
    /// filled, whose links could lead to any file of the user.
    case member
  }

  /// The path as messages show it, or "standard input".
  package let name: String
  /// The kind of the opened file.
  package let kind: Kind
  /// Size in bytes of a regular file at the time when it was opened; nil for anything else.
  package let size: UInt64?
  /// Identity of a regular file; nil for anything else.
  package let identity: FileIdentity?
  /// Whether as many bytes are allocated as the file has. It is read as one without holes then: the system
  /// needs long to find that there are none.
  private let isDense: Bool
  private let descriptor: FileDescriptor

  /// Opens `path` for reading.
  /// - Throws: `INPUT-OPEN`; `INPUT-KIND` for a folder or block device, and for a file that
  ///   `demand` does not allow.
  package convenience init(
    _ path: String, _ demand: Demand = .anyKind
  ) throws(MigrationError) {
    try self.init(path, demand, missing: .inputOpen, unfit: .inputKind)
  }

  /// Opens a file that `folder` must hold: a regular file and not a symbolic link.
  /// - Parameters:
  ///   - name: a name that the program defines, never one from an input.
  ///   - code: the error code when there is no such file.
  /// - Throws: `code`; `INPUT-OPEN` when the file exists and the system fails to open it.
  package convenience init(
    _ name: String, of folder: String, refusing code: ErrorCode
  ) throws(MigrationError) {
    try self.init("\(folder)/\(name)", .member, missing: code, unfit: code)
  }

  /// Opens a regular file that is not a symbolic link.
  /// - Parameter name: what messages show for `path`.
  /// - Throws: `INPUT-OPEN`, `INPUT-KIND`.
  convenience init(member path: String, name: String) throws(MigrationError) {
    try self.init(path, .member, name: name, missing: .inputOpen, unfit: .inputKind)
  }

  /// - Parameters:
  ///   - name: what messages show; nil for the path.
  ///   - missing: error code when nothing exists at `path`.
  ///   - unfit: error code when `demand` does not allow the file.
  private init(
    _ path: String, _ demand: Demand, name: String? = nil, missing: ErrorCode, unfit: ErrorCode
  ) throws(MigrationError) {
    let isStandard = path == "-"
    let name = name ?? (isStandard ? "standard input" : displayName(path))
    let descriptor: FileDescriptor
    let status: Stat
    do {
      descriptor =
        isStandard
        ? .standardInput
        : try SystemCall.typed {
          try FileDescriptor.open(FilePath(path), .readOnly, options: demand.options)
        }
      status = try Stat(descriptor)
    } catch Errno.tooManySymbolicLinkLevels where demand == .member {
      throw MigrationError(
        unfit, "cannot read \(name)", expected: "a regular file", got: "a symbolic link")
    } catch Errno.noSuchAddressOrDevice where demand != .anyKind {
      throw MigrationError(
        unfit, "cannot read \(name)", expected: demand.words, got: "a socket or a device")
    } catch {
      let code = error == .noSuchFileOrDirectory ? missing : .inputOpen
      throw MigrationError(code, "cannot open", name, error)
    }
    let kind: Kind? =
      switch status.type {
      case .regular: .regular
      case .fifo, .socket: .pipe
      case .characterSpecial: .characterDevice
      default: nil
      }
    guard let kind, kind == .regular || demand == .anyKind else {
      if !isStandard { try? descriptor.close() }
      let got =
        switch status.type {
        case .directory: "a folder"
        case .fifo, .socket: "a pipe"
        default: "a device"
        }
      throw MigrationError(unfit, "cannot read \(name)", expected: demand.words, got: got)
    }
    (self.name, self.kind, self.descriptor) = (name, kind, descriptor)
    size = kind == .regular ? UInt64(status.size) : nil
    identity = kind == .regular ? FileIdentity(status) : nil
    isDense = status.sizeAllocated >= status.size
    if kind == .regular { SystemCall.adviseSequential(descriptor) }
  }

  /// Opens a file that is being written, for positioned reads.
  /// - Throws: `INPUT-OPEN`.
  init(duplicating output: OutputDescriptor) throws(MigrationError) {
    let status: Stat
    do {
      descriptor = try SystemCall.typed { try output.raw.duplicate() }
      status = try Stat(descriptor)
    } catch {
      throw MigrationError(.inputOpen, "cannot open", output.name, error)
    }
    (name, kind) = (output.name, .regular)
    (size, identity, isDense) = (UInt64(status.size), FileIdentity(status), false)
  }

  deinit {
    if descriptor != .standardInput { try? descriptor.close() }
  }

  /// The size of a regular file.
  /// - Throws: `INPUT-KIND` for anything that has no size or cannot be read at a position.
  package func regularSize() throws(MigrationError) -> UInt64 {
    guard let size else {
      throw MigrationError(
        .inputKind, "\(name) is not seekable", expected: "a regular file",
        got: kind == .pipe ? "a pipe" : "a device")
    }
    return size
  }

  /// Reads the next bytes that are available, at least one unless the input is at its end.
  /// - Returns: number of bytes read; 0 at the end.
  /// - Throws: `IO-READ`.
  package func read(into buffer: UnsafeMutableRawBufferPointer) throws(MigrationError) -> Int {
    do {
      return try SystemCall.typed { try unsafe descriptor.read(into: buffer) }
    } catch {
      throw MigrationError(.readFailed, "cannot read", name, error)
    }
  }

  /// Reads the next bytes until `buffer` is full or the input ends.
  /// - Returns: number of bytes read; less than the size of `buffer` only at the end of the input.
  /// - Throws: `IO-READ`.
  package func readFully(into buffer: UnsafeMutableRawBufferPointer) throws(MigrationError) -> Int {
    var filled = 0
    while filled < buffer.count {
      let count = try unsafe read(into: .init(rebasing: buffer[filled...]))
      if count == 0 { break }
      filled += count
    }
    return filled
  }

  /// Fills `buffer` with the bytes that begin at `offset`.
  /// - Throws: `IO-READ`, also when the file ends before the buffer is full.
  package func read(
    at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
  ) throws(MigrationError) {
    var filled = 0
    while filled < buffer.count {
      let place = offset &+ UInt64(filled)
      guard let position = Int64(exactly: place) else { throw tooShort(at: place) }
      let count: Int
      do {
        count = try SystemCall.typed {
          try unsafe descriptor.read(
            fromAbsoluteOffset: position, into: .init(rebasing: buffer[filled...]))
        }
      } catch {
        throw MigrationError(.readFailed, "cannot read", name, error, at: place)
      }
      guard count > 0 else { throw tooShort(at: place) }
      filled += count
    }
  }

  /// Fills the pieces of `buffer`, in order, with the bytes that begin at `offset`.
  /// - Throws: `IO-READ`, also when the file ends before they are full.
  package func read(
    at offset: UInt64, into buffer: inout MutableSpan<UInt8>, _ pieces: SpacedPieces
  ) throws(MigrationError) {
    let isWhole: Bool
    do {
      isWhole = try SystemCall.read(descriptor, at: offset, into: &buffer, pieces)
    } catch {
      throw MigrationError(.readFailed, "cannot read", name, error, at: offset)
    }
    guard isWhole else { throw tooShort(at: offset) }
  }

  /// The next range of a regular file, at or after `offset`, that is not a hole; nil when only
  /// holes follow. On a file system without holes this is everything up to the end.
  /// - Throws: `IO-READ`.
  package func nextData(from offset: UInt64) throws(MigrationError) -> Range<UInt64>? {
    guard let size, offset < size, let start = Int64(exactly: offset) else { return nil }
    if isDense { return offset..<size }
    do {
      let data = try SystemCall.seek(descriptor, from: start, toHole: false)
      let hole = try SystemCall.seek(descriptor, from: data, toHole: true)
      // Bytes that were appended after the file was opened are ignored.
      guard UInt64(data) < size else { return nil }
      return UInt64(data)..<min(UInt64(hole), size)
    } catch Errno.noSuchAddressOrDevice {
      // ENXIO: only a hole follows, or the file has become shorter.
      try requireSize()
      return nil
    } catch Errno.invalidArgument {
      return offset..<size
    } catch {
      throw MigrationError(.readFailed, "cannot read", name, error, at: offset)
    }
  }

  /// Checks that a regular file has not become shorter since it was opened. Only then is a hole in
  /// it really a hole, and not a part that was truncated.
  /// - Throws: `IO-READ`.
  package func requireSize() throws(MigrationError) {
    guard let size else { return }
    let now: Stat
    do {
      now = try Stat(descriptor)
    } catch {
      throw MigrationError(.readFailed, "cannot read", name, error)
    }
    if UInt64(now.size) < size { throw tooShort(at: UInt64(now.size)) }
  }

  private func tooShort(at offset: UInt64) -> MigrationError {
    MigrationError(.readFailed, "\(name) is shorter than expected", at: offset)
  }
}

extension InputFile.Demand {
  /// The demanded kind of file, as messages name it.
  fileprivate var words: String { self == .anyKind ? "a file" : "a regular file" }

  fileprivate var options: FileDescriptor.OpenOptions {
    switch self {
    case .anyKind: [.closeOnExec]
    // O_NONBLOCK has no effect on regular files; any other file is opened without waiting, and its
    // type is checked then.
    case .regular: [.closeOnExec, .nonBlocking]
    case .member: [.closeOnExec, .nonBlocking, .noFollow]
    }
  }
}
