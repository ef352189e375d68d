/// The progress of one call of an unpacker.
struct UnpackedPiece {
  /// Number of packed bytes that were read.
  var consumed: Int
  /// Number of bytes that were written.
  var produced: Int
  /// Whether the packed stream has ended.
  var isEnd: Bool
}

/// Unpacks one packed stream piece by piece and keeps its state between calls. One thread at a
/// time.
protocol Unpacker: AnyObject {
  /// Unpacks as much of `packed` as `output` has room for.
  /// - Returns: nil when the bytes are not well formed.
  @unsafe func step(
    _ packed: UnsafeBufferPointer<UInt8>, into output: UnsafeMutableBufferPointer<UInt8>
  ) -> UnpackedPiece?

  /// Begins another packed stream after one that has ended.
  /// - Returns: whether the format allows another one.
  func restart() -> Bool

  /// The limit that ended the last step, if the bytes were well formed but passed a limit.
  var exceededLimit: String? { get }

  /// The zero bytes that may follow a packed stream.
  var padding: Padding { get }
}

/// The zero bytes that may follow a packed stream.
enum Padding {
  case none
  /// Any number of them up to the end of the file. gzip skips them because tapes are padded so.
  case toTheEnd
  /// A multiple of four, also between two packed streams (the .xz file format, section 2.2).
  case inFours
}

extension Unpacker {
  var exceededLimit: String? { nil }

  var padding: Padding { .none }

  /// Unpacks like the function `step` on buffers.
  func step(_ packed: Span<UInt8>, into output: inout MutableSpan<UInt8>) -> UnpackedPiece? {
    // Both regions are borrowed for the call and passed with their lengths.
    unsafe packed.withUnsafeBufferPointer { packed in
      unsafe output.withUnsafeMutableBufferPointer { output in
        unsafe step(packed, into: output)
      }
    }
  }

  /// Unpacks as much of `packed` as `output` has room for behind its first `produced` bytes.
  /// - Returns: nil when the bytes are not well formed, or hold more than there is room for at the end.
  func step(
    _ packed: Span<UInt8>, into output: inout MutableSpan<UInt8>, behind produced: Int
  ) -> UnpackedPiece? {
    if produced < output.count {
      var room = output._mutatingExtracting(produced..<output.count)
      return step(packed, into: &room)
    }
    // One byte of room more shows whether there is more than there should be.
    var excess: [UInt8] = [0]
    var room = excess.mutableSpan
    let piece = step(packed, into: &room)
    return piece?.produced == 0 ? piece : nil
  }

  /// Unpacks a piece that its writer flushed.
  /// - Returns: whether `packed` unpacks to exactly `output`.
  func unpack(_ packed: Span<UInt8>, into output: inout MutableSpan<UInt8>) -> Bool {
    var (consumed, produced) = (0, 0)
    while consumed < packed.count || produced < output.count {
      let rest = packed.extracting(consumed..<packed.count)
      guard let piece = step(rest, into: &output, behind: produced),
        piece.consumed + piece.produced > 0
      else { return false }
      consumed += piece.consumed
      produced += piece.produced
    }
    return true
  }
}
