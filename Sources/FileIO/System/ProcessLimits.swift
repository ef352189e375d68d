internal import CLinux
internal import Glibc

/// Limits and protections that a process sets for itself before it opens anything.
package enum ProcessLimits {
  /// Number of open files to ask for: several times as many as a guest with the largest number of
  /// RAM blocks needs.
  private static let wantedFiles: rlim_t = 1 << 16

  /// Raises the soft limit of open files as far as the hard limit allows, up to `wantedFiles`. A
  /// guest needs one file for each RAM block, and the usual soft limit of 1024 is too low for that.
  package static func allowManyFiles() {
    let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    var limit = rlimit()
    guard unsafe getrlimit(resource, &limit) == 0 else { return }
    let wanted = min(limit.rlim_max, wantedFiles)
    guard limit.rlim_cur < wanted else { return }
    limit.rlim_cur = wanted
    _ = unsafe setrlimit(resource, &limit)
  }

  /// Returns memory of a MiB and more to the system as soon as it is free. By itself malloc keeps up to 64 MiB
  /// once large pieces were freed, which one input after the other then adds to.
  /// To be called before the process has threads.
  package static func returnFreedMemory() {
    _ = return_freed_memory(1 << 20)
  }

  /// Disables core dumps of the process, and prevents other processes of the user from reading its
  /// memory: it contains private keys and a guest's plaintext.
  package static func forbidCoreDumps() { _ = forbid_core_dumps() }

  /// Goes on in a child process, while this one waits for it and ends as it ends.
  ///
  /// A QEMU that is done with the command of `exec:` kills its process within some milliseconds,
  /// although the command may have the last step of a migration still to make. To be called before
  /// the process has threads. Where there can be no child, the process goes on as it is.
  package static func goOnInChild() { _ = go_on_in_child() }
}
