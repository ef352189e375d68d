internal import CZstd
internal import Errors

/// Unpacks frames of zstd (RFC 8878), with windows up to 128 MiB.
@safe final class ZstdUnpacker: Unpacker {
  private let stream: OpaquePointer
  private(set) var exceededLimit: String?

  /// - Throws: `INTERNAL` when zstd cannot be set up.
  init() throws(MigrationError) {
    guard let stream = unsafe ZSTD_createDStream() else {
      throw MigrationError(.internal, "zstd refused ZSTD_createDStream")
    }
    unsafe self.stream = stream
  }

  deinit { unsafe ZSTD_freeDStream(stream) }

  @unsafe func step(
    _ packed: UnsafeBufferPointer<UInt8>, into output: UnsafeMutableBufferPointer<UInt8>
  ) -> UnpackedPiece? {
    // zstd reads and writes only within the two regions, whose lengths it is given.
    var input = unsafe ZSTD_inBuffer(src: packed.baseAddress, size: packed.count, pos: 0)
    var target = unsafe ZSTD_outBuffer(dst: output.baseAddress, size: output.count, pos: 0)
    let status = unsafe ZSTD_decompressStream(stream, &target, &input)
    guard ZSTD_isError(status) == 0 else {
      if ZSTD_getErrorCode(status) == ZSTD_error_frameParameter_windowTooLarge {
        exceededLimit = "a window of at most 128 MiB"
      }
      return nil
    }
    return unsafe UnpackedPiece(consumed: input.pos, produced: target.pos, isEnd: status == 0)
  }

  func restart() -> Bool {
    unsafe ZSTD_isError(ZSTD_DCtx_reset(stream, ZSTD_reset_session_only)) == 0
  }
}
