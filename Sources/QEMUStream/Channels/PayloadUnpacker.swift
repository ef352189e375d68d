internal import Errors
internal import Wire

/// Unpacks the payloads of the packets of one multifd channel.
///
/// Of zlib and zstd all payloads of a channel are one packed stream, flushed after each packet. Of qpl
/// (raw deflate) and uadk (zlib) each page is packed by itself: the payload begins with the packed length of
/// each page, 4 bytes big-endian; a page of the length of a page is not packed. Of qatzip the payload is
/// complete gzip members, one after the other, each of up to 64 KiB, with QATzip's lengths in an extra field
/// that gzip passes over (QEMU `migration/multifd-{zlib,zstd,qpl,uadk,qatzip}.c`).
final class PayloadUnpacker {
  let method: MultifdChannel.Method
  private let form: Form

  private enum Form {
    case none
    case flushed(any Unpacker)
    case pageByPage(ZlibUnpacker)
    case members(ZlibUnpacker)
  }

  /// - Parameter windowBits: a window of zstd has at most 2 to this power bytes.
  /// - Throws: `INTERNAL` when a library cannot be set up.
  init(_ method: MultifdChannel.Method, windowBits: Int) throws(MigrationError) {
    self.method = method
    form =
      switch method {
      case .none: .none
      case .zlib: .flushed(try ZlibUnpacker(.zlib))
      case .zstd: .flushed(try ZstdUnpacker(windowBits: windowBits))
      case .qpl: .pageByPage(try ZlibUnpacker(.none))
      case .uadk: .pageByPage(try ZlibUnpacker(.zlib))
      case .qatzip: .members(try ZlibUnpacker(.gzip))
      }
  }

  /// The limit that the last payload exceeds, in words; nil when it exceeds none.
  var exceededLimit: String? {
    if case .flushed(let unpacker) = form { unpacker.exceededLimit } else { nil }
  }

  /// Unpacks a payload into `pages`, whole pages of `size` bytes.
  /// - Returns: whether all of it gives all of the pages, and nothing more.
  func unpack(
    _ payload: Span<UInt8>, into pages: inout MutableSpan<UInt8>, size: Int
  ) -> Bool {
    switch form {
    case .none:
      guard payload.count == pages.count else { return false }
      pages.copy(payload, to: 0)
      return true
    case .flushed(let unpacker): return unpacker.unpack(payload, into: &pages)
    case .members(let unpacker): return unpacker.unpackStreams(payload, into: &pages)
    case .pageByPage(let unpacker):
      do throws(MigrationError) {
        return try Self.unpackPages(payload, into: &pages, size, unpacker)
      } catch {
        return false
      }
    }
  }

  /// - Throws: `STREAM-TRUNCATED` when the payload ends before its pages do.
  private static func unpackPages(
    _ payload: Span<UInt8>, into pages: inout MutableSpan<UInt8>, _ size: Int,
    _ unpacker: ZlibUnpacker
  ) throws(MigrationError) -> Bool {
    let count = pages.count / size
    var lengths = ByteCursor(payload)
    var content = ByteCursor(payload)
    _ = try content.take(count * BE32.size)
    for index in 0..<count {
      let length = Int(try lengths.read(UInt32.self))
      guard length <= size else { return false }
      let packed = try content.take(length)
      if length == size {
        pages.copy(packed, to: index * size)
        continue
      }
      var page = pages._mutatingExtracting(index * size..<(index + 1) * size)
      guard unpacker.unpackStream(packed, into: &page) else { return false }
    }
    return content.remaining == 0
  }
}
