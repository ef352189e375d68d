package import Errors

/// The room for what an SVSM keeps of a guest beside its memory: vCPUs, services and page states
/// (`Formats/stream.md`, section 17).
///
/// A destination holds all of it until the commit, and whoever compares two guests holds it twice. Each kind
/// has a limit of its own, which it reaches only where the others are small.
package enum StateRoom {
  /// Bytes of the room.
  package static let size = 18 << 20
  /// Bytes that a vCPU takes: those of its VMSA.
  package static let vcpu = 4096
  /// Bytes that a run of page states takes, which is about the most that `PageRuns` needs for one.
  package static let run = 9

  /// - Parameters:
  ///   - vcpus: number of vCPUs.
  ///   - services: bytes of the states of all services.
  ///   - runs: number of runs of page states.
  /// - Throws: `GUEST-SHAPE` when they need more than the room.
  package static func require(
    vcpus: Int, services: Int, runs: Int
  ) throws(MigrationError) {
    let needed = vcpus * vcpu + services + runs * run
    guard needed <= size else {
      throw MigrationError(
        .guestShape, "guest has too much state beside its memory",
        expected: "at most \(size) bytes: \(vcpu) for each vCPU, \(run) for each run of page "
          + "states, and those of its services",
        got: "\(needed)")
    }
  }
}
