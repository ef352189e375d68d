package import Errors
internal import SystemPackage

extension OutputFile {
  /// Gives several outputs their names, all or none: when one cannot have its own, those that were
  /// named before it are taken back, and what they replaced stands there again. To be called once, in
  /// place of `commit`.
  ///
  /// A signal waits until all is done. A process that is killed leaves what was named until then.
  /// - Throws: `OUTPUT-SAME` when two of them are one file; what `commit` throws.
  package static func commitAll(_ outputs: [OutputFile]) throws(MigrationError) {
    var namings: [Naming] = []
    do throws(MigrationError) {
      try refuseSame(outputs)
      for output in outputs { try output.synchronize() }
      try TerminationCleanup.delayed { () throws(MigrationError) in
        do throws(MigrationError) {
          for output in outputs { if let naming = try output.naming() { namings.append(naming) } }
        } catch {
          for naming in namings.reversed() { naming.takeBack() }
          throw error
        }
        for naming in namings { naming.settle() }
      }
    } catch {
      for output in outputs { output.discard() }
      throw error
    }
    for naming in namings { try naming.place.synchronize(namings.map(\.name)) }
  }

  private static func refuseSame(_ outputs: [OutputFile]) throws(MigrationError) {
    var places: Set<[FilePath]> = []
    for output in outputs {
      guard let path = output.place?.path, let last = path.lastComponent else { continue }
      let folder = path.removingLastComponent()
      let found = (try? SystemCall.realPath(folder.isEmpty ? "." : folder)) ?? folder
      guard places.insert([found, FilePath(root: nil, [last])]).inserted else {
        throw MigrationError(.outputSame, "two outputs are the same file: \(output.name)")
      }
    }
  }

  /// An output that has its name, and how that is undone.
  struct Naming {
    let name: String
    let place: OutputPlace
    let temporary: FilePath
    /// Where lies what was replaced; nil when nothing was.
    let old: FilePath?
    let key: UInt64

    /// What was named goes back to its temporary name, with which it is removed.
    func takeBack() {
      if let old {
        try? SystemCall.rename(place.path, to: temporary, old == temporary ? .exchange : .replace)
        if old != temporary { try? SystemCall.rename(old, to: place.path, .keepExisting) }
      } else {
        try? SystemCall.rename(place.path, to: temporary, .keepExisting)
      }
    }

    /// The name stays: what was replaced goes.
    func settle() {
      Registry.shared.forget(key)
      if let old { try? SystemCall.unlink(old) }
    }
  }
}
