public import Bytes
public import FileIO
public import QEMUStream

/// A stream that comes from a file or pipe.
public final class FileSource: ByteSource {
  public let file: InputFile

  public init(_ file: InputFile) { self.file = file }

  @unsafe public func read(
    into buffer: UnsafeMutableRawBufferPointer
  ) throws(MigrationError) -> Int {
    try unsafe file.read(into: buffer)
  }
}

extension StreamInput {
  /// A window over a file or pipe, at its start; "-" is standard input.
  /// - Throws: `INPUT-OPEN`, `INPUT-KIND`; `STREAM-EMPTY` for a file of no bytes.
  public convenience init(opening file: InputFile) throws(MigrationError) {
    self.init(FileSource(file))
    guard try !isAtEnd() else {
      throw MigrationError(.streamEmpty, "\(file.name) is empty", at: 0)
    }
  }
}
