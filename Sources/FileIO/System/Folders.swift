package import Errors
internal import SystemPackage

/// Sorted names of everything in a folder.
/// - Throws: `INPUT-OPEN`.
package func fileNames(in folder: String) throws(MigrationError) -> [String] {
  do {
    return try SystemCall.entries(of: FilePath(folder)).sorted()
  } catch {
    throw MigrationError(.inputOpen, "cannot list", displayName(folder), error)
  }
}

/// The folder in which the program of this process lies, and the other tools beside it.
/// - Throws: `INPUT-OPEN`.
package func programFolder() throws(MigrationError) -> String {
  let program = try realPath(of: "/proc/self/exe")
  return String(program.prefix(upTo: program.lastIndex(of: "/") ?? program.startIndex))
}

/// The absolute path of `path`, with every symbolic link followed.
/// - Throws: `INPUT-OPEN` when nothing exists at `path`, or its absolute path is not UTF-8.
package func realPath(of path: String) throws(MigrationError) -> String {
  let found: FilePath
  do {
    found = try SystemCall.realPath(FilePath(path))
  } catch {
    throw MigrationError(.inputOpen, "cannot open", displayName(path), error)
  }
  guard let text = String(validating: found) else {
    throw MigrationError(.inputOpen, "path of \(displayName(path)) is not UTF-8")
  }
  return text
}
