package import Errors
package import FileIO
package import SVSM
internal import Wire

/// The file of an SVSM instance. It holds private keys, so its mode is 0600.
package struct InstanceFile: Sendable {
  /// Path of the file.
  package let path: String
  /// The instance as it was read from the file.
  package let instance: SVSMInstance

  /// Reads an instance file.
  /// - Parameter demand: the kind of file that is allowed; only a regular file can be stored again.
  /// - Throws: `INPUT-OPEN`, `INPUT-KIND`, `IO-READ`; `INSTANCE-SYNTAX`, and what reading the offer
  ///   in it throws.
  package init(
    reading path: String, _ demand: InputFile.Demand = .anyKind
  ) throws(MigrationError) {
    self.path = path
    instance = try SVSMInstance(readSmallFile(path, limit: SVSMInstance.maximumSize, demand))
    if case .restoring(_, let guest?) = instance.state, !guest.hasPath { throw instance.misfit }
  }
}
