internal import Errors
internal import Glibc
internal import SystemPackage
internal import Wire

extension FilePath {
  /// A name beside this one for an output not finished yet: `.NAME.PURPOSE-PID-RANDOM`.
  /// Nil when this path has no last component to put a file at.
  func beside(_ purpose: String) -> FilePath? {
    guard let stem = stemBeside else { return nil }
    let random = String(UInt64.random(in: .min ... .max), radix: 36)
    return removingLastComponent().appending(".\(stem).\(purpose)-\(getpid())-\(random)")
  }

  /// What such a name repeats of this path's last component.
  var stemBeside: String? {
    guard let last = lastComponent, last.kind == .regular else { return nil }
    // A name may have 255 bytes; the rest of ours has at most 49.
    var stem = last.string
    while stem.utf8.count > 200 { stem.removeLast() }
    return stem
  }
}

/// The folder for what is only needed for a while: the one that `TMPDIR` names, else `/var/tmp`, since
/// `/tmp` is memory on many systems.
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

/// Unfinished outputs beside `path` whose process is gone: what it left when it was killed, or a guest
/// that waits for its name. As messages show them, in order.
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
