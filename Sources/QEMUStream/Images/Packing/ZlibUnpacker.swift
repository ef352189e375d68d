internal import CZlib
internal import Errors

/// Unpacks zlib (RFC 1950), gzip (RFC 1952) or raw deflate (RFC 1951) streams.
@safe final class ZlibUnpacker: Unpacker {
  /// The format of the wrapper around the deflate stream.
  enum Wrapper: Int32 {
    case none = -15
    case zlib = 15
    case gzip = 31
  }

  private let stream: UnsafeMutablePointer<z_stream>
  let padding: Padding

  /// - Throws: `INTERNAL` when zlib cannot be set up.
  init(_ wrapper: Wrapper) throws(MigrationError) {
    let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    unsafe stream.initialize(to: z_stream())
    guard
      unsafe inflateInit2_(
        stream, wrapper.rawValue, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK
    else {
      unsafe stream.deallocate()
      throw MigrationError(.internal, "zlib refused inflateInit2")
    }
    unsafe self.stream = stream
    padding = wrapper == .gzip ? .toTheEnd : .none
  }

  deinit {
    unsafe inflateEnd(stream)
    unsafe stream.deallocate()
  }

  @unsafe func step(
    _ packed: UnsafeBufferPointer<UInt8>, into output: UnsafeMutableBufferPointer<UInt8>
  ) -> UnpackedPiece? {
    let stream = unsafe stream
    // zlib reads and writes only within the two regions, whose lengths it is given.
    unsafe stream.pointee.next_in = UnsafeMutablePointer(mutating: packed.baseAddress)
    unsafe stream.pointee.avail_in = UInt32(clamping: packed.count)
    unsafe stream.pointee.next_out = output.baseAddress
    unsafe stream.pointee.avail_out = UInt32(clamping: output.count)
    let status = unsafe inflate(stream, Z_SYNC_FLUSH)
    guard [Z_OK, Z_STREAM_END, Z_BUF_ERROR].contains(status) else { return nil }
    return unsafe UnpackedPiece(
      consumed: Int(UInt32(clamping: packed.count) - stream.pointee.avail_in),
      produced: Int(UInt32(clamping: output.count) - stream.pointee.avail_out),
      isEnd: status == Z_STREAM_END)
  }

  func restart() -> Bool { unsafe inflateReset(stream) == Z_OK }

  /// Unpacks one complete stream.
  /// - Returns: whether all of `packed` is one, and gives all of `output` and nothing more.
  func unpackStream(_ packed: Span<UInt8>, into output: inout MutableSpan<UInt8>) -> Bool {
    guard restart(), let piece = step(packed, into: &output) else { return false }
    return piece.isEnd && piece.consumed == packed.count && piece.produced == output.count
  }

  /// Unpacks complete streams, one after the other.
  /// - Returns: whether all of `packed` is at least one, and together they give all of `output` and nothing
  ///   more.
  func unpackStreams(_ packed: Span<UInt8>, into output: inout MutableSpan<UInt8>) -> Bool {
    var (consumed, produced) = (0, 0)
    while consumed < packed.count {
      let rest = packed.extracting(consumed..<packed.count)
      guard restart(), let piece = step(rest, into: &output, behind: produced), piece.isEnd else {
        return false
      }
      consumed += piece.consumed
      produced += piece.produced
    }
    return produced == output.count
  }
}
