package import Errors

/// The content of packed bytes, unpacked as it is read. Its offsets are those of the content.
final class UnpackingSource: ByteSource {
  private let packed: StreamInput
  private let unpacker: any Unpacker
  /// The name of the format in messages: "gzip".
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
    // `buffer` may be filled for the length of this call.
    var output = unsafe MutableSpan<UInt8>(_unsafeBytes: buffer)
    return try read(into: &output)
  }

  /// - Returns: 0 only at the end.
  private func read(into output: inout MutableSpan<UInt8>) throws(MigrationError) -> Int {
    let packed = self.packed
    while true {
      if isEnded { try skipPadding() }
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
        if let limit = unpacker.exceededLimit {
          throw MigrationError(
            .imageFormat, "\(name) needs more memory to unpack than is allowed", at: packed.offset,
            expected: limit)
        }
        throw MigrationError(.imageData, "packed bytes are not \(name)", at: packed.offset)
      }
      packed.consume(piece.consumed)
      isEnded = piece.isEnd
      if piece.produced > 0 { return piece.produced }
      guard !isLast || isEnded else {
        throw MigrationError(
          .streamTruncated, "\(name) ends early", at: packed.offset, expected: "more bytes")
      }
      guard piece.consumed > 0 || isEnded else {
        throw MigrationError(.imageData, "packed bytes are not \(name)", at: packed.offset)
      }
    }
  }
}

extension UnpackingSource {
  /// Number of zero bytes at the front of `bytes`.
  private static func zeros(at bytes: Span<UInt8>) -> Int {
    var count = 0
    while count < bytes.count, bytes[count] == 0 { count += 1 }
    return count
  }

  /// Skips zero bytes after a packed stream that has ended.
  /// - Throws: `IMAGE-DATA` when their number is not allowed, or other bytes follow them.
  private func skipPadding() throws(MigrationError) {
    guard unpacker.padding != .none else { return }
    let packed = self.packed
    let start = packed.offset
    while try !packed.isAtEnd() {
      let count = Self.zeros(at: packed.bytes)
      if count == 0 { break }
      packed.consume(count)
    }
    let count = packed.offset - start
    let fits: Bool
    switch unpacker.padding {
    case .none: fits = true
    case .toTheEnd: fits = try count == 0 ? true : packed.isAtEnd()
    case .inFours: fits = count % 4 == 0
    }
    guard fits else {
      throw MigrationError(
        .imageData, "number of zero bytes after \(name) is not allowed", at: start,
        expected: unpacker.padding == .inFours ? "a multiple of 4" : "zero bytes to the end",
        got: "\(count)")
    }
  }
}

extension StreamInput {
  /// The content of bytes packed by xz.
  /// - Throws: `INTERNAL` when liblzma cannot be set up. Later, reading throws `IMAGE-DATA`.
  package static func unpackingXZ(_ packed: StreamInput) throws(MigrationError) -> StreamInput {
    StreamInput(UnpackingSource(packed, try XZUnpacker(), name: "xz"))
  }
}
