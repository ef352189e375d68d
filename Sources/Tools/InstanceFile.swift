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
  }
}

/// An instance file that no other process changes meanwhile.
final class LockedInstance {
  /// What stands in the file.
  private(set) var instance: SVSMInstance
  private let path: String
  private let file: LockedFile

  /// Runs `body` with the instance at `path`, as it stands there once nobody else changes it. Says
  /// so when that has to be waited for.
  /// - Parameter opened: the instance that was read there before; nil takes whichever stands there. It
  ///   may have come further meanwhile, but another one has served nothing.
  /// - Throws: what reading an instance file throws; `INSTANCE-CHANGED`; what `body` throws.
  static func with<Value>(
    _ path: String, _ console: Console, still opened: SVSMInstance? = nil,
    _ body: (LockedInstance) throws(MigrationError) -> Value
  ) throws(MigrationError) -> Value {
    let waiting = { console.note("waiting for the lock of \(path)") }
    return try withLockedFile(path, waiting: waiting) { (file) throws(MigrationError) in
      let locked = try LockedInstance(path, file)
      guard opened.map({ $0.offer.encoded == locked.instance.offer.encoded }) ?? true else {
        throw MigrationError(
          .instanceChanged, "\(path) is another instance than it was at the beginning",
          in: .instance, at: UInt64(SVSMInstance.layout.size))
      }
      return try body(locked)
    }
  }

  /// Runs `body`, which replaces the file at `path`. What stands there must not be the only way to a
  /// guest: of a source that handed one over, of a destination whose guest waits for its name.
  /// - Throws: `OUTPUT-EXISTS`; what `body` throws.
  static func replacing<Value>(
    _ path: String, _ console: Console, _ body: () throws(MigrationError) -> Value
  ) throws(MigrationError) -> Value {
    guard let bytes = try? readSmallFile(path, limit: SVSMInstance.maximumSize, .regular),
      (try? SVSMInstance(bytes)) != nil
    else { return try body() }
    return try with(path, console) { (file) throws(MigrationError) in
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
  func makeDurable() throws(MigrationError) { try file.synchronizeName() }

  /// Stores the instance as it is next. After a crash at any point the file is as before or as after.
  ///
  /// After an error `instance` is what stands in the file; where that cannot be told, what should.
  /// - Throws: `OUTPUT-CREATE`, `IO-WRITE`.
  func store(_ next: SVSMInstance) throws(MigrationError) {
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
