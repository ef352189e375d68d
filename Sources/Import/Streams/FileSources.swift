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

/// A regular file as a source with positions.
package final class FilePositions: PositionedSource {
  private let file: InputFile
  package let size: UInt64

  /// - Returns: nil for anything but a regular file.
  package init?(_ file: InputFile) {
    guard let size = file.size else { return nil }
    self.file = file
    self.size = size
  }

  package func read(at offset: UInt64, into buffer: inout MutableSpan<UInt8>) throws(MigrationError)
  {
    try file.read(at: offset, into: &buffer)
  }

  package func nextData(from offset: UInt64) throws(MigrationError) -> Range<UInt64>? {
    try file.nextData(from: offset)
  }

  package func source(from offset: UInt64) -> any ByteSource { Rest(file, from: offset, to: size) }

  /// The bytes of a file from a position on, in order.
  private final class Rest: SparseSource {
    private let file: InputFile
    private var next: UInt64
    private let end: UInt64

    init(_ file: InputFile, from start: UInt64, to end: UInt64) {
      (self.file, self.next, self.end) = (file, min(start, end), end)
    }

    @unsafe func read(
      into buffer: UnsafeMutableRawBufferPointer
    ) throws(MigrationError) -> Int {
      let count = Int(min(UInt64(buffer.count), end - next))
      // A part of the caller's buffer, for the length of this call.
      try unsafe file.read(at: next, into: .init(rebasing: buffer[..<count]))
      next += UInt64(count)
      return count
    }

    func hole(before back: UInt64) throws(MigrationError) -> UInt64 {
      let place = next - back
      return (try file.nextData(from: place)?.lowerBound ?? end) - place
    }

    func pass(_ count: UInt64) { next += count }
  }
}
