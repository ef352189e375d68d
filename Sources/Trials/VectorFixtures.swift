internal import Attacks
internal import Errors
internal import FileIO
internal import Synchronization

/// Files that vectors are made from, each read once.
final class VectorFixtures: Sendable {
  let folder: String
  private let contents = Mutex<[String: [UInt8]]>([:])

  /// - Throws: `INPUT-OPEN` when there is no such folder.
  init(_ folder: String) throws(MigrationError) { self.folder = try realPath(of: folder) }

  /// Path of a fixture that is given to others by its name.
  /// - Throws: `INPUT-OPEN`; `INPUT-KIND` for anything but a regular file, which nobody then waits for.
  func path(_ name: String) throws(MigrationError) -> String {
    let path = "\(folder)/\(name)"
    _ = try InputFile(path, .regular)
    return path
  }

  /// A fixture whole, unpacked.
  /// - Throws: what `Vector.fixture` refuses.
  func read(_ name: String) throws(MigrationError) -> [UInt8] {
    if let known = contents.withLock({ $0[name] }) { return known }
    let bytes = try Vector.fixture("\(folder)/\(name)")
    contents.withLock { $0[name] = bytes }
    return bytes
  }
}

extension Vector {
  /// Every vector of a folder, by name.
  /// - Throws: `INPUT-OPEN`, `INPUT-KIND`, `IO-READ`; `VECTOR-SYNTAX`, also for a folder without any.
  static func all(in folder: String) throws(MigrationError) -> [Vector] {
    var vectors: [Vector] = []
    for name in try fileNames(in: folder) where name.hasSuffix(".vector") {
      let text = try readSmallFile("\(folder)/\(name)", limit: maximumSize, .regular)
      vectors.append(try Vector(text, fileName: String(name.dropLast(".vector".count))))
    }
    guard !vectors.isEmpty else {
      throw MigrationError(.vectorSyntax, "no vector is there", in: .file(folder))
    }
    return vectors
  }
}
