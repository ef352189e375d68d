package import Errors

/// Unpacks COMPRESS_PAGE payloads: each a complete zlib stream (RFC 1950) of one page, independent
/// of all others (QEMU before 9.1, `migration/ram-compress.c`).
///
/// Nothing is allocated per page. One thread at a time.
package final class PageInflater {
  private let unpacker: ZlibUnpacker

  /// - Throws: `INTERNAL` when zlib cannot be set up.
  package init() throws(MigrationError) { unpacker = try ZlibUnpacker(.zlib) }

  /// Unpacks `payload` into `page`, which has the size of a page.
  /// - Parameter offset: stream offset of the payload.
  /// - Throws: `RAM-DATA` unless the payload is one zlib stream of exactly one page.
  package func inflate(
    _ payload: Span<UInt8>, into page: inout MutableSpan<UInt8>, at offset: UInt64
  ) throws(MigrationError) {
    guard unpacker.unpackStream(payload, into: &page) else {
      throw MigrationError(
        .ramData, "compressed page does not unpack to one page", in: .ram, at: offset)
    }
  }
}
