package import Errors
package import FileIO
package import SVSM
internal import Wire

/// The file an SVSM instance lives in. It holds private keys: mode 0600.
package struct InstanceFile: Sendable {
  package let path: String
  package let instance: SVSMInstance

  /// Reads an instance file.
  /// - Parameter demand: what may stand there; only a regular file can be stored again.
  /// - Throws: `INPUT-OPEN`, `INPUT-KIND`, `IO-READ`; `INSTANCE-SYNTAX` and what an offer refuses.
  package init(
    reading path: String, _ demand: InputFile.Demand = .anyKind
  ) throws(MigrationError) {
    self.path = path
    instance = try SVSMInstance(readSmallFile(path, limit: SVSMInstance.maximumSize, demand))
    if case .restoring(_, let guest?) = instance.state, !guest.hasPath { throw instance.misfit }
  }
}
