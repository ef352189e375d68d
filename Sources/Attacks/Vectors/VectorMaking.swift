package import Errors
internal import FileIO
internal import QEMUStream
internal import SVSM
package import Wire

extension Vector {
  /// Largest size in bytes of an unpacked fixture, and of what a recipe makes from it.
  static let fileLimit = 32 << 20

  /// Makes the file that the vector is about.
  /// - Parameter fixtures: opens a fixture by its path.
  /// - Throws: what the recipe refuses, and `fixtures`; `IO-WRITE`.
  package func make(
    from fixtures: (String) throws(MigrationError) -> any ByteStore, to output: any ByteOutput
  ) throws(MigrationError) {
    if let content { return try output.write(Array(content.utf8)) }
    var input: any ByteStore = StoredBytes([])
    if let path = paths[.input]?.first { input = try fixtures(path) }
    guard let recipe else { return try input.write(to: output) }
    var materials = Materials(try Self.input(input))
    if let path = paths[.second]?.first {
      materials.second = try Self.input(try fixtures(path))
    }
    if let path = paths[.instance]?.first, materials.input.anatomy.count(.session) > 0 {
      let instance = try fixtures(path)
      materials.instance = try SVSMInstance(instance.read(0..<instance.size))
    }
    try Recipe(parsing: recipe).make(from: materials, to: LimitedOutput(output))
  }

  /// An SNP stream, an offer or an instance file is indexed; of all other inputs only the bytes are
  /// known.
  private static func input(_ store: any ByteStore) throws(MigrationError) -> Materials.Input {
    do throws(MigrationError) {
      return try Materials.Input(store)
    } catch {
      return try Materials.Input(plain: store)
    }
  }

  /// Opens a fixture. One whose name ends in `.xz` is unpacked into a temporary file.
  /// - Parameter path: path of the file.
  /// - Throws: `INPUT-OPEN`, `INPUT-KIND`, `IO-READ`, `OUTPUT-CREATE`, `IO-WRITE`; `IMAGE-DATA`,
  ///   `STREAM-TRUNCATED`.
  package static func fixture(_ path: String) throws(MigrationError) -> any ByteStore {
    let packed = try StoredFile(InputFile(path, .regular))
    guard packed.size <= UInt64(fileLimit) else {
      throw MigrationError(
        .inputKind, "\(path) is too long", expected: "at most \(fileLimit) bytes",
        got: "\(packed.size)")
    }
    return path.hasSuffix(".xz") ? try unpack(packed, path) : packed
  }

  private static func unpack(
    _ packed: StoredFile, _ path: String
  ) throws(MigrationError) -> StoredFile {
    let input = try StreamInput.unpackingXZ(StreamInput(StoreSource(packed)))
    let content = try TemporaryFile(size: 0)
    var size = 0
    while try !input.isAtEnd() {
      let count = min(input.bytes.count, PieceList.windowSize)
      guard count <= fileLimit - size else {
        throw MigrationError(
          .inputKind, "\(path) unpacks to too much", expected: "at most \(fileLimit) bytes")
      }
      let bytes = try input.readArray(count)
      try content.write(bytes.span, at: UInt64(size))
      size += count
    }
    return try StoredFile(content.input())
  }
}

/// Refuses more bytes than what a recipe makes of a vector's input may have.
private final class LimitedOutput: ByteOutput {
  private let output: any ByteOutput
  private var left = Vector.fileLimit

  init(_ output: any ByteOutput) { self.output = output }

  func write(_ bytes: Span<UInt8>) throws(MigrationError) {
    guard bytes.count <= left else {
      throw MigrationError(
        .recipeSyntax, "recipe makes too long a file",
        expected: "at most \(Vector.fileLimit) bytes")
    }
    left -= bytes.count
    try output.write(bytes)
  }
}
