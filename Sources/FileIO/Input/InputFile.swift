package import Errors
internal import SystemPackage
package import Wire

/// A file, pipe or terminal that is read: "-" is standard input.
///
/// Sequential reads and positioned reads do not disturb each other. Positioned reads may come from
/// several threads at once; sequential reads belong to one.
package final class InputFile: Sendable {
  package enum Kind: Sendable, Equatable {
    case regular
    /// A pipe, fifo or socket: read once, from start to end.
    case pipe
    /// A terminal or another character device.
    case characterDevice
  }

  /// What may stand at a name that is opened.
  package enum Demand: Sendable {
    /// All that can be read. The open of a fifo waits for a writer, as who names one wants.
    case anyKind
    /// A regular file, or a link to one. Nothing is waited for.
    case regular
    /// A regular file and no link: what belongs to a folder that somebody else may have filled, and
    /// whose links may lead to files of ours.
    case member
  }

  /// The path as messages show it, or "standard input".
  package let name: String
  package let kind: Kind
  /// Bytes of a regular file at the time it was opened; nil for anything else.
  package let size: UInt64?
  /// Nil for anything but a regular file.
  package let identity: FileIdentity?
  private let descriptor: FileDescriptor

  /// Opens `path` for reading.
  /// - Throws: `INPUT-OPEN`; `INPUT-KIND` for a folder or block device, and what is not demanded.
  package convenience init(
    _ path: String, _ demand: Demand = .anyKind
  ) throws(MigrationError) {
    try self.init(path, demand, missing: .inputOpen, unfit: .inputKind)
  }

  /// Opens a file that `folder` must hold, a regular one and no link.
  /// - Parameters:
  ///   - name: a name of the program's own, never one that was read from an input.
  ///   - code: what the folder is refused with when there is no such file.
  /// - Throws: `code`; `INPUT-OPEN` when the system does not open what is there.
  package convenience init(
    _ name: String, of folder: String, refusing code: ErrorCode
  ) throws(MigrationError) {
    try self.init("\(folder)/\(name)", .member, missing: code, unfit: code)
  }

  /// - Parameters:
  ///   - missing: code of a name at which nothing stands.
  ///   - unfit: code of what is none of the files that are demanded.
  private init(
    _ path: String, _ demand: Demand, missing: ErrorCode, unfit: ErrorCode
  ) throws(MigrationError) {
    let isStandard = path == "-"
    let name = isStandard ? "standard input" : displayName(path)
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
    if kind == .regular { SystemCall.adviseSequential(descriptor) }
  }

  /// A file that is being written, to be read at positions.
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
    (size, identity) = (UInt64(status.size), FileIdentity(status))
  }

  deinit {
    if descriptor != .standardInput { try? descriptor.close() }
  }

  /// The size of a regular file.
  /// - Throws: `INPUT-KIND` for anything that has no size or cannot be read at a position.
  package func regularSize() throws(MigrationError) -> UInt64 {
    guard let size else {
      throw MigrationError(
        .inputKind, "\(name) cannot be read at a position", expected: "a regular file",
        got: kind == .pipe ? "a pipe" : "a device")
    }
    return size
  }

  /// Reads what is at hand next, at least one byte unless the input is at its end.
  /// - Returns: bytes read; 0 at the end.
  /// - Throws: `IO-READ`.
  package func read(into buffer: UnsafeMutableRawBufferPointer) throws(MigrationError) -> Int {
    do {
      return try SystemCall.typed { try unsafe descriptor.read(into: buffer) }
    } catch {
      throw MigrationError(.readFailed, "cannot read", name, error)
    }
  }

  /// Reads the next bytes until `buffer` is full or the input ends.
  /// - Returns: bytes read; fewer than `buffer` has room for only at the end.
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

  /// Fills `buffer` with the bytes from `offset` on.
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

  /// Fills the pieces of `buffer` with the bytes from `offset` on.
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

  /// The next stretch of a regular file at or behind `offset` that is not a hole, or nil when only
  /// holes are left. A file system that knows no holes reports one stretch to the end.
  /// - Throws: `IO-READ`.
  package func nextData(from offset: UInt64) throws(MigrationError) -> Range<UInt64>? {
    guard let size, offset < size, let start = Int64(exactly: offset) else { return nil }
    do {
      let data = try SystemCall.seek(descriptor, from: start, toHole: false)
      let hole = try SystemCall.seek(descriptor, from: data, toHole: true)
      // What was appended since the file was opened is not part of it.
      guard UInt64(data) < size else { return nil }
      return UInt64(data)..<min(UInt64(hole), size)
    } catch Errno.noSuchAddressOrDevice {
      // ENXIO: a hole to the end, or a file that became shorter.
      try requireSize()
      return nil
    } catch Errno.invalidArgument {
      return offset..<size
    } catch {
      throw MigrationError(.readFailed, "cannot read", name, error, at: offset)
    }
  }

  /// Makes sure that a regular file has not become shorter since it was opened: a hole in it is then
  /// a hole, and not what has been cut off.
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
    MigrationError(.readFailed, "\(name) is shorter than it was or should be", at: offset)
  }
}

extension InputFile.Demand {
  /// What a refusal calls it.
  fileprivate var words: String { self == .anyKind ? "a file" : "a regular file" }

  fileprivate var options: FileDescriptor.OpenOptions {
    switch self {
    case .anyKind: [.closeOnExec]
    // Regular files know no waiting; all else is open at once, and looked at.
    case .regular: [.closeOnExec, .nonBlocking]
    case .member: [.closeOnExec, .nonBlocking, .noFollow]
    }
  }
}
