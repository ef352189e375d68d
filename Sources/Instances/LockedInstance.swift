package import Errors
internal import FileIO
package import SVSM
internal import Wire

/// An instance file that no other process changes meanwhile.
package final class LockedInstance {
  /// What stands in the file.
  package private(set) var instance: SVSMInstance
  private let path: String
  private let file: LockedFile

  /// Runs `body` with the instance at `path`, as it stands there once nobody else changes it.
  /// - Parameters:
  ///   - waiting: called when that has to be waited for.
  ///   - opened: the instance that was read there before; nil takes whichever stands there. It
  ///   may have come further meanwhile, but another one has served nothing.
  /// - Throws: what reading an instance file throws; `INSTANCE-CHANGED`; what `body` throws.
  package static func with<Value>(
    _ path: String, waiting: () -> Void, still opened: SVSMInstance? = nil,
    _ body: (LockedInstance) throws(MigrationError) -> Value
  ) throws(MigrationError) -> Value {
    try withLockedFile(path, waiting: waiting) { (file) throws(MigrationError) in
      let locked = try LockedInstance(path, file)
      guard opened.map({ $0.offer.encoded == locked.instance.offer.encoded }) ?? true else {
        throw MigrationError(
          .instanceChanged, "\(path) is another instance than it was at the beginning",
          in: .instance, at: UInt64(SVSMInstance.Layout.size))
      }
      return try body(locked)
    }
  }

  /// Runs `body`, which replaces the file at `path`. What stands there must not be the only way to a
  /// guest: of a source that handed one over, of a destination whose guest waits for its name.
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
          "\(path) is an instance without which a guest is lost, and is not replaced",
          expected: "a new name", got: "\(stage)")
      }
      return try body()
    }
  }

  private init(_ path: String, _ file: LockedFile) throws(MigrationError) {
    (self.path, self.file) = (path, file)
    instance = try InstanceFile(reading: path, .regular).instance
  }

  /// Makes sure that the stage outlasts a power failure, before anything is done that relies on it: it may
  /// have been stored by a run that was ended before its folder was on the disk.
  /// - Throws: `IO-WRITE`.
  package func makeDurable() throws(MigrationError) { try file.synchronizeName() }

  /// Stores the instance as it is next. After a crash at any point the file is as before or as after.
  ///
  /// After an error `instance` is what stands in the file; where that cannot be told, what should.
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
