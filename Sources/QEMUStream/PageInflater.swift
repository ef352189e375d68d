public import Bytes
internal import CZlib

/// Unpacks COMPRESS_PAGE payloads: each a complete zlib stream (RFC 1950) of one page, independent
/// of all others (QEMU before 9.1, `migration/ram-compress.c`).
///
/// Owns one `z_stream`, which is used again for every page: nothing is allocated per page. One
/// thread at a time.
@safe public final class PageInflater {
  private let stream: UnsafeMutablePointer<z_stream>

  /// - Throws: `INTERNAL` when zlib cannot be set up.
  public init() throws(MigrationError) {
    let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    unsafe stream.initialize(to: z_stream())
    guard
      unsafe inflateInit_(stream, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK
    else {
      unsafe stream.deallocate()
      throw MigrationError(.internal, "zlib refused inflateInit")
    }
    unsafe self.stream = stream
  }

  deinit {
    unsafe inflateEnd(stream)
    unsafe stream.deallocate()
  }

  /// Unpacks `payload` into `page`, a page long.
  /// - Parameter offset: where the payload begins in the stream.
  /// - Throws: `RAM-DATA` unless the payload is one zlib stream of exactly one page.
  public func inflate(
    _ payload: Span<UInt8>, into page: inout MutableSpan<UInt8>, at offset: UInt64
  ) throws(MigrationError) {
    let stream = unsafe stream
    guard unsafe inflateReset(stream) == Z_OK else {
      throw MigrationError(.internal, "zlib refused inflateReset")
    }
    // zlib reads and writes only within the two regions, whose lengths it is given.
    let isWhole = unsafe payload.withUnsafeBufferPointer { payload in
      unsafe page.withUnsafeMutableBufferPointer { page in
        unsafe stream.pointee.next_in = UnsafeMutablePointer(mutating: payload.baseAddress)
        unsafe stream.pointee.avail_in = UInt32(payload.count)
        unsafe stream.pointee.next_out = page.baseAddress
        unsafe stream.pointee.avail_out = UInt32(page.count)
        let status = unsafe CZlib.inflate(stream, Z_FINISH)
        return unsafe status == Z_STREAM_END && stream.pointee.avail_in == 0
          && stream.pointee.avail_out == 0
      }
    }
    guard isWhole else {
      throw MigrationError(
        .ramData, "compressed page does not unpack to one page", section: "ram", at: offset)
    }
  }
}
