internal import CLinux
internal import Glibc

/// What a process asks of the system for itself, before it opens anything.
package enum ProcessLimits {
  /// Files that a guest of as many RAM blocks as there can be needs several times over.
  private static let wantedFiles: rlim_t = 1 << 16

  /// Lets the process have as many files open as it may ask for: a guest has one for each RAM block,
  /// and the usual 1024 are fewer than its limit allows.
  package static func allowManyFiles() {
    let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    var limit = rlimit()
    guard unsafe getrlimit(resource, &limit) == 0 else { return }
    let wanted = min(limit.rlim_max, wantedFiles)
    guard limit.rlim_cur < wanted else { return }
    limit.rlim_cur = wanted
    _ = unsafe setrlimit(resource, &limit)
  }

  /// Lets the system write no core of the process, and no other process of the user look into its
  /// memory: private keys and a guest's plain text are in it.
  package static func forbidCoreDumps() { _ = forbid_core_dumps() }
}
