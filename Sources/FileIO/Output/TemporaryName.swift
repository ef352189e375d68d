internal import Errors
internal import Glibc
internal import SystemPackage
internal import Wire

extension FilePath {
  /// A hidden name in the same folder for an unfinished output: `.NAME.PURPOSE-PID-RANDOM`. Nil
  /// when this path has no last component that can name a file.
  func beside(_ purpose: String) -> FilePath? {
    guard let stem = stemBeside else { return nil }
    let random = String(UInt64.random(in: .min ... .max), radix: 36)
    return removingLastComponent().appending(".\(stem).\(purpose)-\(getpid())-\(random)")
  }

  /// The part of this path's last component that such a name repeats.
  var stemBeside: String? {
    guard let last = lastComponent, last.kind == .regular else { return nil }
    // A file name may have 255 bytes; the other parts of a hidden name have at most 49.
    var stem = last.string
    while stem.utf8.count > 200 { stem.removeLast() }
    return stem
  }
}

/// The folder for temporary files: the one that `TMPDIR` names, else `/var/tmp`, since `/tmp` is in
/// memory on many systems.
/// - Throws: `OUTPUT-CREATE` when its name is not UTF-8.
func temporaryFolder() throws(MigrationError) -> FilePath {
  // The environment's string is copied before anything can change it.
  guard let named = unsafe getenv("TMPDIR"), unsafe named.pointee != 0 else { return "/var/tmp" }
  guard let text = unsafe String(validatingCString: named) else {
    throw MigrationError(
      .outputCreate, "the folder for temporary files that TMPDIR names is not UTF-8")
  }
  return FilePath(text)
}

/// Hidden outputs for `path` whose process no longer exists: files that it left when it was killed,
/// or a guest that does not have its name yet. Sorted, as messages show them.
package func leftovers(of path: String) -> [String] {
  let path = FilePath(path)
  guard let stem = path.stemBeside else { return [] }
  let folder = path.removingLastComponent()
  let names = (try? SystemCall.entries(of: folder.isEmpty ? "." : folder)) ?? []
  let left = names.filter { name in
    for purpose in ["partial", "replaced"] where name.hasPrefix(".\(stem).\(purpose)-") {
      let rest = name.dropFirst(stem.count + purpose.count + 3)
      guard let process = pid_t(rest.prefix { $0 != "-" }), process > 0 else { continue }
      return kill(process, 0) == -1 && errno == ESRCH
    }
    return false
  }
  return left.sorted().map { displayName(folder.appending($0).string) }
}
