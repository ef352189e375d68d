internal import Errors
internal import SystemPackage

/// The target path of an output, at which the finished file or folder gets its name.
struct OutputPlace {
  /// The path after following symbolic links in its last component.
  let path: FilePath
  /// Whether something exists at the path that will be replaced.
  let replaces: Bool

  /// The target of a file output at `path`.
  /// - Returns: nil for a device or fifo, which is written directly.
  static func ofFile(_ path: FilePath, force: Bool) throws -> OutputPlace? {
    guard let found = try existing(path) else { return OutputPlace(path: path, replaces: false) }
    let name = displayName(path.string)
    switch found.type {
    case .regular:
      guard force else { throw exists(name) }
      return OutputPlace(path: try SystemCall.realPath(path), replaces: true)
    case .symbolicLink:
      guard force else { throw exists(name) }
      return OutputPlace(path: try SystemCall.end(ofLink: path), replaces: false)
    case .characterSpecial, .fifo: return nil
    default: throw noFile(name)
    }
  }

  /// The target of a folder output.
  /// - Parameters:
  ///   - force: whether an existing folder may be replaced. That is done only if the folder holds
  ///     `marker`, and only regular files whose names `isOurs` accepts.
  static func ofFolder(
    _ text: String, force: Bool, marker: String, isOurs: (String) -> Bool
  ) throws -> OutputPlace {
    guard text != "-" else {
      throw MigrationError(
        .outputCreate, "a folder is not written to standard output", expected: "a folder's name")
    }
    let name = displayName(text)
    let path = FilePath(text)
    guard let found = try standing(at: path) else {
      return OutputPlace(path: path, replaces: false)
    }
    guard force else { throw exists(name) }
    if found.type == .symbolicLink, try existing(path)?.type == .symbolicLink {
      return OutputPlace(path: try SystemCall.end(ofLink: path), replaces: false)
    }
    let entries = (try? SystemCall.entries(of: path)) ?? []
    let foreign = entries.first { !isOurs($0) || !isFile($0, in: path) }
    guard entries.contains(marker), foreign == nil else {
      throw MigrationError(
        .outputExists, "\(name) is not replaced: another program made it",
        expected: "a folder with \(marker) and no file of another program",
        got: foreign.map { "one with \(displayName($0))" })
    }
    return OutputPlace(path: try SystemCall.realPath(path), replaces: true)
  }

  /// Whether `name` in `folder` is a regular file, and not a symbolic link to one.
  private static func isFile(_ name: String, in folder: FilePath) -> Bool {
    (try? standing(at: folder.appending(name)))?.type == .regular
  }

  /// The status of what exists at `path`, symbolic links followed; that of the link itself when its
  /// target does not exist.
  private static func existing(_ path: FilePath) throws(Errno) -> Stat? {
    do {
      return try Stat(path)
    } catch Errno.noSuchFileOrDirectory {
      return try standing(at: path)
    }
  }

  /// The status of what exists at `path`, without following a symbolic link.
  private static func standing(at path: FilePath) throws(Errno) -> Stat? {
    do {
      return try Stat(path, followTargetSymlink: false)
    } catch Errno.noSuchFileOrDirectory {
      return nil
    }
  }

  /// Renames `temporary` to the target. A file at the target is replaced and removed.
  func take(_ temporary: FilePath) throws(Errno) {
    if replaces { return try SystemCall.rename(temporary, to: path, .replace) }
    do {
      try SystemCall.rename(temporary, to: path, .keepExisting)
    } catch Errno.invalidArgument, Errno.noFunction {
      // On a file system without that mode, checking first is the best possible way.
      guard (try? Stat(path, followTargetSymlink: false)) == nil else { throw .fileExists }
      try SystemCall.rename(temporary, to: path, .replace)
    }
  }

  /// Renames `temporary` to the target, and keeps what it replaces.
  /// - Returns: the present path of what was replaced.
  func exchange(_ temporary: FilePath) throws(Errno) -> FilePath {
    do {
      try SystemCall.rename(temporary, to: path, .exchange)
      return temporary
    } catch Errno.invalidArgument, Errno.noFunction {
      // On a file system without that mode, nothing exists at the target between two renames.
      guard let aside = path.beside("replaced") else { throw .invalidArgument }
      try SystemCall.rename(path, to: aside, .replace)
      do {
        try SystemCall.rename(temporary, to: path, .replace)
      } catch {
        try? SystemCall.rename(aside, to: path, .replace)
        throw error
      }
      return aside
    }
  }

  /// Waits until the new name is on the disk.
  /// - Parameter names: names of all outputs that were renamed together, for the message.
  /// - Throws: `IO-WRITE`. The outputs exist nevertheless, and the error says so.
  func synchronize(_ names: [String]) throws(MigrationError) {
    do throws(MigrationError) {
      try OutputDescriptor.synchronize(folder: path.removingLastComponent())
    } catch {
      let (verb, subject) = names.count == 1 ? ("is", "it") : ("are", "they")
      throw error.adding(
        names.joined(separator: " and ")
          + " \(verb) complete, but \(subject) may be lost in a power failure")
    }
  }

  static func noFile(_ name: String) -> MigrationError {
    MigrationError(
      .outputExists, "\(name) exists and is not a file", expected: "a new name")
  }

  static func exists(_ name: String) -> MigrationError {
    MigrationError(
      .outputExists, "\(name) exists already", expected: "a new name, or \(.replacing)")
  }
}
