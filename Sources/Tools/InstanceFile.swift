public import Bytes
internal import FileIO
public import SVSM

/// The file an SVSM instance lives in. It holds private keys: mode 0600.
public struct InstanceFile: Sendable {
  public let path: String
  public let instance: SVSMInstance

  /// Reads an instance file.
  /// - Throws: `INPUT-OPEN`, `INPUT-KIND`, `IO-READ`; `INSTANCE-SYNTAX` and what an offer refuses.
  public init(reading path: String) throws(MigrationError) {
    self.path = path
    instance = try SVSMInstance(readSmallFile(path, limit: SVSMInstance.maximumSize))
  }

  /// Writes the instance as it is after it served a migration. After a crash at any point the file
  /// is either as before or as after.
  /// - Throws: `OUTPUT-CREATE`, `IO-WRITE`; `INSTANCE-USED` when another process was faster.
  public func advance(
    to stage: SVSMInstance.Stage, by transferData: TransferData
  ) throws(MigrationError) {
    try withLockedFile(path) { () throws(MigrationError) in
      guard try InstanceFile(reading: path).instance.stage == instance.stage else {
        throw MigrationError(
          .instanceUsed, "another run has used \(path) meanwhile", section: "instance", at: 12)
      }
      try replaceFile(
        path, with: instance.advanced(to: stage, by: transferData).encoded(),
        permissions: .private)
    }
  }
}
