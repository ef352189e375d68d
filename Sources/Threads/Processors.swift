internal import CLinux
internal import Glibc

/// The processors on which this process may run.
package enum Processors {
  /// Their number, from sched_getaffinity(2), as nproc(1) counts them, so that the limits of a
  /// container or of taskset(1) are respected; 1 when the call fails.
  package static var available: Int {
    var set = [UInt](repeating: 0, count: 1024 / UInt.bitWidth)
    let size = set.count * MemoryLayout<UInt>.size
    // The kernel writes at most `size` bytes into the array and does not change the rest.
    let status = unsafe set.withUnsafeMutableBytes { bytes in
      unsafe sched_getaffinity(0, UInt(size), bytes.baseAddress)
    }
    guard status == 0 else { return 1 }
    return max(1, set.reduce(0) { $0 + $1.nonzeroBitCount })
  }
}
