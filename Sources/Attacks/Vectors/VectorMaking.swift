package import Errors
internal import FileIO
internal import QEMUStream
internal import SVSM
internal import Wire

extension Vector {
  /// Largest size in bytes of an unpacked fixture, and of what a recipe makes from it.
  static let fileLimit = 32 << 20

  /// Makes the file that the vector is about.
  /// - Parameter fixtures: reads a whole fixture by its path.
  /// - Throws: what the recipe refuses, and `fixtures`.
  package func make(
    from fixtures: (String) throws(MigrationError) -> [UInt8]
  ) throws(MigrationError) -> [UInt8] {
    if let content { return Array(content.utf8) }
    var input: [UInt8] = []
    if let path = paths[.input]?.first { input = try fixtures(path) }
    guard let recipe else { return input }
    var materials = Materials(try Self.input(input))
    if let path = paths[.second]?.first {
      materials.second = try Self.input(try fixtures(path))
    }
    if let path = paths[.instance]?.first, materials.input.anatomy.part(.session) != nil {
      materials.instance = try SVSMInstance(fixtures(path))
    }
    let output = CollectedOutput(
      limit: Self.fileLimit,
      refusal: MigrationError(
        .recipeSyntax, "recipe makes too long a file", expected: "at most \(Self.fileLimit) bytes"))
    try Recipe(parsing: recipe).make(from: materials, to: output)
    return output.bytes
  }

  /// An SNP stream, an offer or an instance file is indexed; of all other inputs only the bytes are
  /// known.
  private static func input(_ bytes: [UInt8]) throws(MigrationError) -> Materials.Input {
    do throws(MigrationError) {
      return try Materials.Input(bytes)
    } catch {
      return Materials.Input(plain: bytes)
    }
  }

  /// Reads a whole fixture. One whose name ends in `.xz` is unpacked.
  /// - Parameter path: path of the file.
  /// - Throws: `INPUT-OPEN`, `INPUT-KIND`, `IO-READ`; `IMAGE-DATA`, `STREAM-TRUNCATED`.
  package static func fixture(_ path: String) throws(MigrationError) -> [UInt8] {
    let bytes = try readSmallFile(path, limit: fileLimit, .regular)
    guard path.hasSuffix(".xz") else { return bytes }
    let input = try StreamInput.unpackingXZ(StreamInput(ArraySource(bytes)))
    var content: [UInt8] = []
    while try !input.isAtEnd() {
      let count = min(input.bytes.count, 1 << 20)
      guard count <= fileLimit - content.count else {
        throw MigrationError(
          .inputKind, "\(path) unpacks to too much", expected: "at most \(fileLimit) bytes")
      }
      content += try input.readArray(count)
    }
    return content
  }
}
