package import Errors
internal import SystemPackage

/// Names of all that is in a folder, in order.
/// - Throws: `INPUT-OPEN`.
package func fileNames(in folder: String) throws(MigrationError) -> [String] {
  do {
    return try SystemCall.entries(of: FilePath(folder)).sorted()
  } catch {
    throw MigrationError(.inputOpen, "cannot list", displayName(folder), error)
  }
}

/// `path` from the root of the file system on, every symbolic link followed.
/// - Throws: `INPUT-OPEN` when nothing is there, or what is there has a name that is not UTF-8.
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
