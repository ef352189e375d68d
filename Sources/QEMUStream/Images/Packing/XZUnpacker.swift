internal import CLZMA
internal import Errors

/// Unpacks xz streams whose dictionary needs at most 256 MiB.
@safe final class XZUnpacker: Unpacker {
  private static let memoryLimit: UInt64 = 256 << 20

  private let stream: UnsafeMutablePointer<lzma_stream>
  private(set) var exceededLimit: String?
  let padding = Padding.inFours

  /// - Throws: `INTERNAL` when liblzma cannot be set up.
  init() throws(MigrationError) {
    unsafe stream = UnsafeMutablePointer<lzma_stream>.allocate(capacity: 1)
    // All fields are zero or nil, as in LZMA_STREAM_INIT.
    unsafe stream.initialize(to: lzma_stream())
    guard restart() else { throw MigrationError(.internal, "liblzma refused lzma_stream_decoder") }
  }

  deinit {
    unsafe lzma_end(stream)
    unsafe stream.deallocate()
  }

  @unsafe func step(
    _ packed: UnsafeBufferPointer<UInt8>, into output: UnsafeMutableBufferPointer<UInt8>
  ) -> UnpackedPiece? {
    let stream = unsafe stream
    // liblzma reads and writes only within the two regions, whose lengths it is given.
    unsafe stream.pointee.next_in = packed.baseAddress
    unsafe stream.pointee.avail_in = packed.count
    unsafe stream.pointee.next_out = output.baseAddress
    unsafe stream.pointee.avail_out = output.count
    let status = unsafe lzma_code(stream, LZMA_RUN)
    if status == LZMA_MEMLIMIT_ERROR {
      exceededLimit = "at most \(Self.memoryLimit >> 20) MiB, the dictionary's with it"
    }
    guard status == LZMA_OK || status == LZMA_STREAM_END || status == LZMA_BUF_ERROR else {
      return nil
    }
    return unsafe UnpackedPiece(
      consumed: packed.count - stream.pointee.avail_in,
      produced: output.count - stream.pointee.avail_out, isEnd: status == LZMA_STREAM_END)
  }

  func restart() -> Bool {
    unsafe lzma_stream_decoder(stream, Self.memoryLimit, 0) == LZMA_OK
  }
}
