package import Errors
internal import SystemPackage

/// An open folder. What is read in it is in this folder, whatever its path leads to later, and no symbolic link in
/// it is followed.
package final class InputFolder: Sendable {
  /// The path as messages show it.
  private let name: String
  private let descriptor: FileDescriptor

  /// Opens the folder at `path`, or that to which a symbolic link there leads.
  /// - Throws: `INPUT-OPEN`, `INPUT-KIND`.
  package convenience init(_ path: String) throws(MigrationError) {
    try self.init(FilePath(path), name: displayName(path), [])
  }

  private init(
    _ path: FilePath, name: String, _ options: FileDescriptor.OpenOptions
  ) throws(MigrationError) {
    self.name = name
    do {
      descriptor = try SystemCall.typed {
        try FileDescriptor.open(
          path, .readOnly, options: options.union([.directory, .closeOnExec]))
      }
    } catch Errno.notDirectory {
      throw Self.unfit(name)
    } catch Errno.tooManySymbolicLinkLevels {
      throw Self.unfit(name)
    } catch {
      throw MigrationError(.inputOpen, "cannot open", name, error)
    }
  }

  deinit { try? descriptor.close() }

  private static func unfit(_ name: String) -> MigrationError {
    MigrationError(
      .inputKind, "cannot read \(name)", expected: "a folder",
      got: "a file or a symbolic link")
  }

  /// Opens a folder in this one.
  /// - Throws: `INPUT-OPEN`, `INPUT-KIND`.
  package func folder(_ member: String) throws(MigrationError) -> InputFolder {
    try InputFolder(path(of: member), name: shown(member), .noFollow)
  }

  /// Opens a regular file in this folder.
  /// - Throws: `INPUT-OPEN`, `INPUT-KIND`.
  package func file(_ member: String) throws(MigrationError) -> InputFile {
    try InputFile(member: path(of: member).string, name: shown(member))
  }

  /// Whether this folder has a folder of this name, and not a symbolic link to one.
  package func hasFolder(_ member: String) -> Bool {
    (try? path(of: member)).map { isOwnFolder($0.string) } ?? false
  }

  /// Sorted names of everything in the folder.
  /// - Throws: `INPUT-OPEN`.
  package func names() throws(MigrationError) -> [String] {
    do {
      return try SystemCall.entries(of: opened).sorted()
    } catch {
      throw MigrationError(.inputOpen, "cannot list", name, error)
    }
  }

  /// A path to the open folder itself.
  private var opened: FilePath { FilePath("/proc/self/fd/\(descriptor.rawValue)") }

  private func path(of member: String) throws(MigrationError) -> FilePath {
    guard let component = FilePath.Component(member), component.kind == .regular else {
      throw MigrationError(.inputOpen, "\(shown(member)) is not a name in a folder")
    }
    return opened.appending(component)
  }

  private func shown(_ member: String) -> String { "\(name)/\(displayName(member))" }
}
