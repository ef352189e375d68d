internal import Errors
internal import Wire

/// Unpacks a format for which no library is linked.
protocol ContentReader {
  /// Unpacks the next bytes. The memory used depends on the largest block of the format only.
  /// - Parameters:
  ///   - packed: positioned where the last call left it.
  ///   - output: never empty.
  /// - Returns: number of bytes written; 0 only at the end.
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
    // `buffer` may be filled for the length of this call.
    var output = unsafe MutableSpan<UInt8>(_unsafeBytes: buffer)
    return try reader.read(packed, into: &output)
  }
}

/// The block that was unpacked last, and the part of it that has not been returned.
struct UnpackedBlock {
  /// Earlier content, for blocks that refer to it, followed by the block.
  var bytes: [UInt8] = []
  /// The range of the block's bytes that have not been returned.
  var rest = 0..<0

  /// - Returns: number of bytes copied to `output`; 0 when none is left.
  mutating func give(to output: inout MutableSpan<UInt8>) -> Int {
    let count = min(rest.count, output.count)
    output.copy(bytes.span.extracting(rest.lowerBound..<rest.lowerBound + count), to: 0)
    rest = rest.lowerBound + count..<rest.upperBound
    return count
  }

  /// Makes room for a block of at most `count` bytes, and keeps up to `history` bytes of earlier
  /// content before it. There is room for twice as much, so that earlier content is copied once for
  /// `count` bytes that were unpacked and not for each block, which may have no byte.
  /// - Returns: index in `bytes` at which the block begins.
  mutating func makeRoom(for count: Int, history: Int = 0) -> Int {
    let kept = min(rest.upperBound, history)
    var start = history == 0 ? 0 : rest.upperBound
    if start + count > bytes.count {
      var next = Array(bytes[rest.upperBound - kept..<rest.upperBound])
      next += [UInt8](repeating: 0, count: history + 2 * count - kept)
      bytes = next
      start = kept
    }
    rest = start..<start
    return start
  }
}

extension MutableSpan<UInt8> {
  /// Copies `count` bytes from `distance` bytes before `place` to `place`. The source may overlap
  /// the bytes that this call writes.
  /// - Returns: false when the source begins before the first byte, or the room is too small.
  mutating func repeatBytes(_ count: Int, from distance: Int, to place: Int) -> Bool {
    guard 1...Swift.max(place, 1) ~= distance, distance <= place, count <= self.count - place else {
      return false
    }
    for index in place..<place + count { self[index] = self[index - distance] }
    return true
  }

  /// Copies `count` bytes of `source`, from `start` on.
  /// - Returns: false when the bytes do not exist, or the room is too small.
  mutating func take(_ count: Int, of source: Span<UInt8>, from start: Int, to place: Int) -> Bool {
    guard count <= source.count - start, count <= self.count - place else { return false }
    copy(source.extracting(start..<start + count), to: place)
    return true
  }
}
