internal import Errors
internal import Wire

/// Unpacks a format that no library is linked for.
protocol ContentReader {
  /// Unpacks what comes next. Memory follows the largest block of the format, whatever comes of it.
  /// - Parameters:
  ///   - packed: where the last call left it.
  ///   - output: never empty.
  /// - Returns: bytes written; 0 at the end only.
  /// - Throws: `IMAGE-DATA`, `IMAGE-FORMAT`, `STREAM-TRUNCATED`.
  mutating func read(
    _ packed: StreamInput, into output: inout MutableSpan<UInt8>
  ) throws(MigrationError) -> Int
}

/// The content of packed bytes, unpacked as it is read. Its offsets are those of the content.
final class ContentSource<Reader: ContentReader>: ByteSource {
  private let packed: StreamInput
  private var reader: Reader

  init(_ packed: StreamInput, _ reader: Reader) { (self.packed, self.reader) = (packed, reader) }

  @unsafe func read(
    into buffer: UnsafeMutableRawBufferPointer
  ) throws(MigrationError) -> Int {
    // The buffer is the caller's to fill for the length of this call.
    var output = unsafe MutableSpan<UInt8>(_unsafeBytes: buffer)
    return try reader.read(packed, into: &output)
  }
}

/// The block that was unpacked last, and how much of it was given away.
struct UnpackedBlock {
  /// Of what is kept from before, for blocks that refer to it, and the block.
  var bytes: [UInt8] = []
  /// Bytes of the block that are not given away yet.
  var rest = 0..<0

  /// - Returns: bytes given away; 0 when none is left.
  mutating func give(to output: inout MutableSpan<UInt8>) -> Int {
    let count = min(rest.count, output.count)
    output.copy(bytes.span.extracting(rest.lowerBound..<rest.lowerBound + count), to: 0)
    rest = rest.lowerBound + count..<rest.upperBound
    return count
  }

  /// Makes room for a block of at most `count` bytes, with up to `history` bytes of what came before.
  /// - Returns: where the block begins.
  mutating func makeRoom(for count: Int, history: Int = 0) -> Int {
    let kept = min(rest.upperBound, history)
    if kept > 0 {
      bytes.replaceSubrange(0..<kept, with: bytes[rest.upperBound - kept..<rest.upperBound])
    }
    if bytes.count < kept + count {
      bytes += [UInt8](repeating: 0, count: kept + count - bytes.count)
    }
    rest = kept..<kept
    return kept
  }
}

extension MutableSpan<UInt8> {
  /// Repeats bytes that were written before: `count` bytes from `distance` before `place` on, which may
  /// reach into what is written by that.
  /// - Returns: whether there are such bytes, and room.
  mutating func repeatBytes(_ count: Int, from distance: Int, to place: Int) -> Bool {
    guard 1...Swift.max(place, 1) ~= distance, distance <= place, count <= self.count - place else {
      return false
    }
    for index in place..<place + count { self[index] = self[index - distance] }
    return true
  }

  /// Copies `count` bytes of `source`, from `start` on.
  /// - Returns: whether they are there, and room.
  mutating func take(_ count: Int, of source: Span<UInt8>, from start: Int, to place: Int) -> Bool {
    guard count <= source.count - start, count <= self.count - place else { return false }
    copy(source.extracting(start..<start + count), to: place)
    return true
  }
}
