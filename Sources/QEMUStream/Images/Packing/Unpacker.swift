/// How far one call of an unpacker went.
struct UnpackedPiece {
  /// Packed bytes that were read.
  var consumed: Int
  /// Bytes that were written.
  var produced: Int
  /// Whether the packed stream has ended.
  var isEnd: Bool
}

/// Unpacks one packed stream piece by piece, its state kept in between. One thread at a time.
protocol Unpacker: AnyObject {
  /// Unpacks as much of `packed` as `output` has room for.
  /// - Returns: nil when the bytes are not of such a stream.
  @unsafe func step(
    _ packed: UnsafeBufferPointer<UInt8>, into output: UnsafeMutableBufferPointer<UInt8>
  ) -> UnpackedPiece?

  /// Begins another stream behind one that has ended.
  /// - Returns: whether there can be one.
  func restart() -> Bool

  /// The limit that the last step ended at, where the bytes were not at fault.
  var exceededLimit: String? { get }

  /// Zero bytes that may stand behind a packed stream.
  var padding: Padding { get }
}

/// Zero bytes behind a packed stream.
enum Padding {
  case none
  /// Any number of them, and nothing behind them: what gzip passes over, a tape's.
  case toTheEnd
  /// A multiple of four, also between two streams (the .xz file format, section 2.2).
  case inFours
}

extension Unpacker {
  var exceededLimit: String? { nil }

  var padding: Padding { .none }

  /// Unpacks as `step` does.
  func step(_ packed: Span<UInt8>, into output: inout MutableSpan<UInt8>) -> UnpackedPiece? {
    // Both regions are borrowed for the call, and their lengths go with them.
    unsafe packed.withUnsafeBufferPointer { packed in
      unsafe output.withUnsafeMutableBufferPointer { output in
        unsafe step(packed, into: output)
      }
    }
  }

  /// Unpacks a piece that its writer flushed.
  /// - Returns: whether all of `packed` gives all of `output`, and nothing more.
  func unpack(_ packed: Span<UInt8>, into output: inout MutableSpan<UInt8>) -> Bool {
    var consumed = 0
    var produced = 0
    // One byte more shows whether the piece holds more than it should.
    var excess: [UInt8] = [0]
    while consumed < packed.count || produced < output.count {
      let rest = packed.extracting(consumed..<packed.count)
      let piece: UnpackedPiece?
      if produced < output.count {
        var room = output._mutatingExtracting(produced..<output.count)
        piece = step(rest, into: &room)
      } else {
        var room = excess.mutableSpan
        piece = step(rest, into: &room)
        if piece?.produced != 0 { return false }
      }
      guard let piece, piece.consumed + piece.produced > 0 else { return false }
      consumed += piece.consumed
      produced += piece.produced
    }
    return true
  }
}
