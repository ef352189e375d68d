package import Errors
package import FileIO
package import QEMUStream
internal import Wire

/// A byte source over a file or pipe.
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
  /// A window over all bytes of a file or pipe, which may be none. Holes of a regular file are not read.
  package convenience init(wholeOf file: InputFile) {
    self.init(FilePositions(file)?.source(from: 0) ?? FileSource(file))
  }

  /// A window over a file or pipe, at its start; "-" is standard input.
  /// - Parameter recording: takes a copy of what is read.
  /// - Throws: `INPUT-OPEN`, `INPUT-KIND`; `STREAM-EMPTY` for a file of no bytes.
  package convenience init(
    opening file: InputFile, recording: Recording? = nil
  ) throws(MigrationError) {
    let source: any ByteSource = recording.map { RecordedSource(file, $0) } ?? FileSource(file)
    self.init(source)
    guard try !isAtEnd() else {
      throw MigrationError(.streamEmpty, "\(file.name) is empty", at: 0)
    }
  }
}

/// A regular file, or the first part of one, that can be read at any position.
package final class FilePositions: PositionedSource {
  private let file: InputFile
  package let size: UInt64

  /// - Parameter end: first byte that is not part of the source; nil for the whole file.
  /// - Returns: nil for anything but a regular file.
  package init?(_ file: InputFile, to end: UInt64? = nil) {
    guard let size = file.size else { return nil }
    self.file = file
    self.size = min(size, end ?? size)
  }

  /// Makes a source of a whole file, which must be a regular file.
  /// - Throws: `INPUT-KIND`.
  package init(regular file: InputFile) throws(MigrationError) {
    size = try file.regularSize()
    self.file = file
  }

  package func read(at offset: UInt64, into buffer: inout MutableSpan<UInt8>) throws(MigrationError)
  {
    try file.read(at: offset, into: &buffer)
  }

  package func nextData(from offset: UInt64) throws(MigrationError) -> Range<UInt64>? {
    guard let data = try file.nextData(from: offset), data.lowerBound < size else { return nil }
    return data.lowerBound..<min(data.upperBound, size)
  }
}

/// A source of a limited number of bytes of an input.
final class LimitedSource: ByteSource {
  private let input: StreamInput
  private var left: UInt64

  init(_ input: StreamInput, count: UInt64) { (self.input, left) = (input, count) }

  @unsafe func read(
    into buffer: UnsafeMutableRawBufferPointer
  ) throws(MigrationError) -> Int {
    if left == 0 { return 0 }
    let input = self.input
    let count = Int(min(UInt64(min(try input.available(atLeast: 1), buffer.count)), left))
    // `buffer` may be filled for the length of this call; `count` is within both sides.
    var target = unsafe MutableSpan<UInt8>(_unsafeBytes: buffer)
    target.copy(input.bytes.extracting(first: count), to: 0)
    input.consume(count)
    left -= UInt64(count)
    return count
  }
}
