internal import CZstd
internal import Errors

/// Unpacks frames of zstd (RFC 8878), with windows up to 128 MiB or a smaller limit.
@safe final class ZstdUnpacker: Unpacker {
  /// Largest window: 2 to this power. What zstd itself takes by default.
  static let usualWindowBits = 27

  private let stream: OpaquePointer
  private let windowBits: Int
  private(set) var exceededLimit: String?

  /// - Parameter windowBits: a window has at most 2 to this power bytes.
  /// - Throws: `INTERNAL` when zstd cannot be set up.
  init(windowBits: Int = ZstdUnpacker.usualWindowBits) throws(MigrationError) {
    guard let stream = unsafe ZSTD_createDStream() else {
      throw MigrationError(.internal, "zstd refused ZSTD_createDStream")
    }
    let status = unsafe ZSTD_DCtx_setParameter(stream, ZSTD_d_windowLogMax, Int32(windowBits))
    guard ZSTD_isError(status) == 0 else {
      unsafe ZSTD_freeDStream(stream)
      throw MigrationError(.internal, "zstd refused a limit of its window")
    }
    unsafe self.stream = stream
    self.windowBits = windowBits
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
        let size =
          windowBits < 20 ? "\(1 << (windowBits - 10)) KiB" : "\(1 << (windowBits - 20)) MiB"
        exceededLimit = "a window of at most \(size)"
      }
      return nil
    }
    return unsafe UnpackedPiece(consumed: input.pos, produced: target.pos, isEnd: status == 0)
  }

  func restart() -> Bool {
    unsafe ZSTD_isError(ZSTD_DCtx_reset(stream, ZSTD_reset_session_only)) == 0
  }
}
