package import Errors
package import FileIO
package import QEMUStream

/// A stream that comes from a file or pipe.
package final class FileSource: ByteSource {
  package let file: InputFile

  package init(_ file: InputFile) { self.file = file }

  @unsafe package func read(
    into buffer: UnsafeMutableRawBufferPointer
  ) throws(MigrationError) -> Int {
    try unsafe file.read(into: buffer)
  }
}

extension StreamInput {
  /// A window over a file or pipe, at its start; "-" is standard input.
  /// - Throws: `INPUT-OPEN`, `INPUT-KIND`; `STREAM-EMPTY` for a file of no bytes.
  package convenience init(opening file: InputFile) throws(MigrationError) {
    self.init(FileSource(file))
    guard try !isAtEnd() else {
      throw MigrationError(.streamEmpty, "\(file.name) is empty", at: 0)
    }
  }
}
