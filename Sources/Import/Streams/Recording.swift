package import Errors
package import FileIO
internal import QEMUStream
package import Wire

/// A copy of a stream that passes through, kept in a file.
///
/// On the way out an error of writing it is kept until somebody asks: once a guest is handed over, a full
/// disk behind the copy must not make the migration fail. On the way in the next read fails with it.
package final class Recording {
  private let output: OutputFile
  private var error: MigrationError?

  package init(to output: OutputFile) { self.output = output }

  /// Adds bytes of the stream.
  func append(_ bytes: Span<UInt8>) {
    guard error == nil else { return }
    do throws(MigrationError) { try output.write(bytes) } catch { self.error = error }
  }

  /// - Throws: `IO-WRITE` when a part of the copy could not be written.
  package func requireWhole() throws(MigrationError) {
    if let error { throw error }
  }

  /// Gives the copy its name.
  /// - Throws: `IO-WRITE`; `OUTPUT-EXISTS`, `OUTPUT-CREATE`.
  package func commit() throws(MigrationError) {
    try requireWhole()
    try output.commit()
  }
}

/// An output of which a copy is kept.
package struct RecordedOutput: ByteOutput {
  private let output: any ByteOutput
  private let recording: Recording

  package init(_ output: any ByteOutput, _ recording: Recording) {
    (self.output, self.recording) = (output, recording)
  }

  package func write(_ bytes: Span<UInt8>) throws(MigrationError) {
    try output.write(bytes)
    recording.append(bytes)
  }
}

/// A file or pipe of which a copy is kept while it is read.
final class RecordedSource: ByteSource {
  private let file: InputFile
  private let recording: Recording

  init(_ file: InputFile, _ recording: Recording) {
    (self.file, self.recording) = (file, recording)
  }

  @unsafe func read(into buffer: UnsafeMutableRawBufferPointer) throws(MigrationError) -> Int {
    let count = try unsafe file.read(into: buffer)
    // The bytes that were read lie in the buffer for the length of this call.
    let bytes = unsafe Span<UInt8>(_unsafeBytes: UnsafeRawBufferPointer(buffer))
    recording.append(bytes.extracting(first: count))
    // At once: the source should notice before it hands the guest over.
    try recording.requireWhole()
    return count
  }
}
