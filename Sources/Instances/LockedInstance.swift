package import Errors
internal import FileIO
package import SVSM
internal import Wire

/// An instance file that is locked, so that no other process can change it.
package final class LockedInstance {
  /// The instance in the file.
  package private(set) var instance: SVSMInstance
  private let path: String
  private let file: LockedFile

  /// Locks the file at `path`, reads the instance and runs `body` with it.
  /// - Parameters:
  ///   - waiting: called before waiting for the lock.
  ///   - opened: the instance that was read from the file before; nil accepts any. Its stage may
  ///     have changed in the meantime, but a different instance is refused.
  /// - Throws: what reading an instance file throws; `INSTANCE-CHANGED`; what `body` throws.
  package static func with<Value>(
    _ path: String, waiting: () -> Void, still opened: SVSMInstance? = nil,
    _ body: (LockedInstance) throws(MigrationError) -> Value
  ) throws(MigrationError) -> Value {
    try withLockedFile(path, waiting: waiting) { (file) throws(MigrationError) in
      let locked = try LockedInstance(path, file)
      guard opened.map({ $0.offer.encoded == locked.instance.offer.encoded }) ?? true else {
        throw MigrationError(
          .instanceChanged, "\(path) was replaced by another instance while the tool ran",
          in: .instance, at: UInt64(SVSMInstance.Layout.size))
      }
      return try body(locked)
    }
  }

  /// Runs `body`, which replaces the file at `path`. Refuses to replace an instance that is the
  /// only way to a guest: an exported source, or a destination in stage restoring.
  /// - Throws: `OUTPUT-EXISTS`; what `body` throws.
  package static func replacing<Value>(
    _ path: String, waiting: () -> Void, _ body: () throws(MigrationError) -> Value
  ) throws(MigrationError) -> Value {
    guard let bytes = try? readSmallFile(path, limit: SVSMInstance.maximumSize, .regular),
      (try? SVSMInstance(bytes)) != nil
    else { return try body() }
    return try with(path, waiting: waiting) { (file) throws(MigrationError) in
      let stage = file.instance.stage
      guard stage != .exported, stage != .restoring else {
        throw MigrationError(
          .outputExists,
          "a guest still depends on the instance \(path)",
          expected: "another output name", got: "\(stage)")
      }
      return try body()
    }
  }

  private init(_ path: String, _ file: LockedFile) throws(MigrationError) {
    (self.path, self.file) = (path, file)
    instance = try InstanceFile(reading: path, .regular).instance
  }

  /// Makes the present stage durable before anything is done that relies on it: it may have been
  /// stored by a run that ended before the folder was synchronized.
  /// - Throws: `IO-WRITE`.
  package func makeDurable() throws(MigrationError) { try file.synchronizeName() }

  /// Replaces the instance in the file with `next`. After a crash at any point the file holds
  /// either the old or the new one.
  ///
  /// After an error `instance` is the one in the file; if the file cannot be read, it is `next`.
  /// - Throws: `OUTPUT-CREATE`, `IO-WRITE`.
  package func store(_ next: SVSMInstance) throws(MigrationError) {
    do {
      try file.replace(with: next.encoded(), permissions: .private)
      instance = next
    } catch {
      instance = (try? InstanceFile(reading: path, .regular).instance) ?? next
      guard instance.state == next.state else { throw error }
      throw error.adding("\(path) is \(next.stage) all the same")
    }
  }
}
