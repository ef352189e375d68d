internal import Glibc
internal import SystemPackage

extension FilePath {
  /// A name beside this one for an output not finished yet: `.NAME.PURPOSE-PID-RANDOM`.
  /// Nil when this path has no last component to put a file at.
  func beside(_ purpose: String) -> FilePath? {
    guard let last = lastComponent, last.kind == .regular else { return nil }
    // A name may have 255 bytes; the rest of ours has at most 49.
    var stem = last.string
    while stem.utf8.count > 200 { stem.removeLast() }
    let random = String(UInt64.random(in: .min ... .max), radix: 36)
    return removingLastComponent().appending(".\(stem).\(purpose)-\(getpid())-\(random)")
  }
}
