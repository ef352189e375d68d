internal import Attacks
internal import Errors
internal import FileIO
internal import Synchronization

/// The files from which vectors are made. Each is read only once.
final class VectorFixtures: Sendable {
  let folder: String
  private let contents = Mutex<[String: [UInt8]]>([:])

  /// - Throws: `INPUT-OPEN` when there is no such folder.
  init(_ folder: String) throws(MigrationError) { self.folder = try realPath(of: folder) }

  /// Path of a fixture that is passed to other programs by its path.
  /// - Throws: `INPUT-OPEN`; `INPUT-KIND` for anything that is not a regular file, so that no
  ///   program blocks on it.
  func path(_ name: String) throws(MigrationError) -> String {
    let path = "\(folder)/\(name)"
    _ = try InputFile(path, .regular)
    return path
  }

  /// The content of a fixture, unpacked.
  /// - Throws: what `Vector.fixture` throws.
  func read(_ name: String) throws(MigrationError) -> [UInt8] {
    if let known = contents.withLock({ $0[name] }) { return known }
    let bytes = try Vector.fixture("\(folder)/\(name)")
    contents.withLock { $0[name] = bytes }
    return bytes
  }
}

extension Vector {
  /// All vectors of a folder, sorted by name.
  /// - Throws: `INPUT-OPEN`, `INPUT-KIND`, `IO-READ`; `VECTOR-SYNTAX`, also for a folder without
  ///   any.
  static func all(in folder: String) throws(MigrationError) -> [Vector] {
    var vectors: [Vector] = []
    for name in try fileNames(in: folder) where name.hasSuffix(".vector") {
      let text = try readSmallFile("\(folder)/\(name)", limit: maximumSize, .regular)
      vectors.append(try Vector(text, fileName: String(name.dropLast(".vector".count))))
    }
    guard !vectors.isEmpty else {
      throw MigrationError(.vectorSyntax, "no vector was found", in: .file(folder))
    }
    return vectors
  }
}
