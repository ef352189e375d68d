internal import Attacks
internal import Errors
internal import FileIO
internal import Synchronization

/// The files from which vectors are made.
final class VectorFixtures: Sendable {
  /// Largest number of unpacked fixtures that are kept, each in a temporary file.
  private static let unpackedLimit = 64

  let folder: String
  private let unpacked = Mutex<[String: any ByteStore]>([:])

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
  func open(_ name: String) throws(MigrationError) -> any ByteStore {
    if let known = unpacked.withLock({ $0[name] }) { return known }
    let content = try Vector.fixture("\(folder)/\(name)")
    guard name.hasSuffix(".xz") else { return content }
    unpacked.withLock { if $0.count < Self.unpackedLimit { $0[name] = content } }
    return content
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
