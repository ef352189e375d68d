public import Bytes

/// The content of packed bytes, unpacked as it is read. Its offsets are those of the content.
final class UnpackingSource: ByteSource {
  private let packed: StreamInput
  private let unpacker: any Unpacker
  /// What the bytes are called in messages: "gzip".
  private let name: String
  private var isEnded = false

  init(_ packed: StreamInput, _ unpacker: any Unpacker, name: String) {
    self.packed = packed
    self.unpacker = unpacker
    self.name = name
  }

  @unsafe func read(
    into buffer: UnsafeMutableRawBufferPointer
  ) throws(MigrationError) -> Int {
    // The buffer is the caller's to fill for the length of this call.
    var output = unsafe MutableSpan<UInt8>(_unsafeBytes: buffer)
    return try read(into: &output)
  }

  /// - Returns: 0 at the end only.
  private func read(into output: inout MutableSpan<UInt8>) throws(MigrationError) -> Int {
    let packed = self.packed
    while true {
      let isLast = try packed.isAtEnd()
      if isEnded {
        if isLast { return 0 }
        // Another stream may follow, as each of these programs allows.
        guard unpacker.restart() else {
          throw MigrationError(.internal, "\(name) is not restarted")
        }
        isEnded = false
      }
      guard let piece = unpacker.step(packed.bytes, into: &output) else {
        throw MigrationError(.imageData, "packed bytes are no \(name)", at: packed.offset)
      }
      packed.consume(piece.consumed)
      isEnded = piece.isEnd
      if piece.produced > 0 { return piece.produced }
      guard !isLast || isEnded else {
        throw MigrationError(
          .streamTruncated, "\(name) ends early", at: packed.offset, expected: "more bytes")
      }
      guard piece.consumed > 0 || isEnded else {
        throw MigrationError(.imageData, "packed bytes are no \(name)", at: packed.offset)
      }
    }
  }
}

extension StreamInput {
  /// The content of what xz packed.
  /// - Throws: `INTERNAL` when liblzma cannot be set up; reading then throws `IMAGE-DATA`.
  public static func unpackingXZ(_ packed: StreamInput) throws(MigrationError) -> StreamInput {
    StreamInput(UnpackingSource(packed, try XZUnpacker(), name: "xz"))
  }
}
