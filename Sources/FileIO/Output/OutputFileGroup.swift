package import Errors
internal import SystemPackage

extension OutputFile {
  /// Gives several outputs their names, either all or none: when one cannot be renamed, the renames
  /// before it are undone, and the files that they replaced are restored. To be called once,
  /// instead of `commit`.
  ///
  /// Termination signals are delayed until this is done. If the process is killed, the outputs that
  /// were renamed by then remain.
  /// - Throws: `OUTPUT-SAME` when two outputs have the same path; what `commit` throws.
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
      guard let path = output.place?.path, let key = path.placeInFolder else { continue }
      guard places.insert(key).inserted else {
        throw MigrationError(.outputSame, "two outputs are the same file: \(output.name)")
      }
    }
  }

  /// An output that has been renamed, and what is needed to undo that.
  struct Naming {
    let name: String
    let place: OutputPlace
    let temporary: FilePath
    /// Path of the file that was replaced; nil when there was none.
    let old: FilePath?
    let key: UInt64

    /// Renames the output back to its temporary name, under which it is removed, and restores the
    /// file that it replaced.
    func takeBack() {
      if let old {
        try? SystemCall.rename(place.path, to: temporary, old == temporary ? .exchange : .replace)
        if old != temporary { try? SystemCall.rename(old, to: place.path, .keepExisting) }
      } else {
        try? SystemCall.rename(place.path, to: temporary, .keepExisting)
      }
    }

    /// Makes the rename final: removes the file that was replaced.
    func settle() {
      Registry.shared.forget(key)
      if let old { try? SystemCall.unlink(old) }
    }
  }
}

/// Refuses two outputs that would be one file or folder, whether or not it exists. "-" is no file.
/// - Throws: `OUTPUT-SAME`.
package func refuseSame(outputs: String, _ other: String) throws(MigrationError) {
  guard outputs != "-", other != "-" else { return }
  try refuseSame(FileIdentity.ofOutput(outputs), as: other)
  guard let place = FilePath(outputs).placeInFolder, place == FilePath(other).placeInFolder else {
    return
  }
  throw MigrationError(
    .outputSame, "two outputs are the same file: \(displayName(other))")
}

extension FilePath {
  /// The folder without links, and the name in it; nil for a path without a name.
  fileprivate var placeInFolder: [FilePath]? {
    guard let last = lastComponent else { return nil }
    let folder = removingLastComponent()
    let found = (try? SystemCall.realPath(folder.isEmpty ? "." : folder)) ?? folder
    return [found, FilePath(root: nil, [last])]
  }
}
