package import Errors
package import FileIO
package import QEMUStream
internal import Wire

extension InputFile {
  /// The kind of file, judged by its first bytes; nil for an unknown kind, or for a file that
  /// cannot be read at positions.
  /// - Throws: `IO-READ`.
  package func kind() throws(MigrationError) -> FileKind? {
    guard let positions = FilePositions(self) else { return nil }
    return try FileKind(
      detecting: StreamInput(positions.source(from: 0), capacity: 4096, limit: 4096))
  }

  /// Whether the file holds a stream rather than raw memory, which may be any bytes. A file that
  /// cannot be read at positions, such as a pipe, can only hold a stream.
  /// - Throws: `INPUT-KIND` for a file that is known to hold neither, and for a file in which a
  ///   stream seems to begin later; `IO-READ`.
  package func holdsStream() throws(MigrationError) -> Bool {
    guard let positions = FilePositions(self) else { return true }
    if let kind = try kind() {
      guard !kind.holdsStream else { return true }
      throw MigrationError(
        .inputKind, "\(name) is not raw memory by its first bytes", at: 0,
        expected: "a QEMU stream; the format raw takes any bytes for memory", got: kind.name)
    }
    if let place = try QEMUInput.stream(after: 0, in: positions) {
      throw MigrationError(
        .inputKind, "\(name) is not raw memory: a stream seems to begin in it", at: place,
        expected: "\(.offset) \(Hex.number(place)); the format raw takes any bytes for memory")
    }
    return false
  }
}
