internal import Attacks
internal import Bytes
internal import FileIO
internal import Synchronization

/// Files that vectors are made from, each read once.
final class VectorFixtures: Sendable {
  let folder: String
  private let contents = Mutex<[String: [UInt8]]>([:])

  /// - Throws: `INPUT-OPEN` when there is no such folder.
  init(_ folder: String) throws(MigrationError) { self.folder = try realPath(of: folder) }

  func path(_ name: String) -> String { "\(folder)/\(name)" }

  /// A fixture whole, unpacked.
  /// - Throws: what `Vector.fixture` refuses.
  func read(_ name: String) throws(MigrationError) -> [UInt8] {
    if let known = contents.withLock({ $0[name] }) { return known }
    let bytes = try Vector.fixture(path(name))
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
      let text = try readSmallFile("\(folder)/\(name)", limit: maximumSize)
      vectors.append(try Vector(text, fileName: String(name.dropLast(".vector".count))))
    }
    guard !vectors.isEmpty else {
      throw MigrationError(.vectorSyntax, "no vector is there", section: folder)
    }
    return vectors
  }
}
