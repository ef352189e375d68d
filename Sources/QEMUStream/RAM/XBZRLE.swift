internal import Errors
internal import Wire

/// Deltas between two contents of a page (QEMU `migration/xbzrle.c`).
///
/// A delta is a sequence of pairs: the number of bytes to keep, the number of bytes to replace,
/// then the new bytes. A number below 0x80 has one byte; others have two: the low seven bits with
/// 0x80 set, then the high bits. Bytes after the last pair are kept.
enum XBZRLE {
  /// Applies a delta to a page.
  /// - Parameter offset: stream offset of the delta.
  /// - Throws: `RAM-DATA` when the delta is truncated, changes nothing, or extends beyond the page.
  static func apply(
    _ delta: Span<UInt8>, to page: inout MutableSpan<UInt8>, at offset: UInt64
  ) throws(MigrationError) {
    var next = 0
    var place = 0
    var isFirst = true
    while next < delta.count {
      let start = offset &+ UInt64(next)
      let kept = number(delta, &next)
      let replaced = number(delta, &next)
      guard let kept, let replaced, replaced > 0, kept > 0 || isFirst,
        kept + replaced <= page.count - place, replaced <= delta.count - next
      else {
        throw MigrationError(
          .ramData, "XBZRLE delta does not fit a page", in: .ram,
          at: start)
      }
      page.copy(delta.extracting(next..<next + replaced), to: place + kept)
      next += replaced
      place += kept + replaced
      isFirst = false
    }
  }

  private static func number(_ delta: Span<UInt8>, _ next: inout Int) -> Int? {
    guard next < delta.count else { return nil }
    let low = delta[next]
    next += 1
    guard low & 0x80 != 0 else { return Int(low) }
    guard next < delta.count, delta[next] & 0x80 == 0 else { return nil }
    let high = delta[next]
    next += 1
    return Int(high) << 7 | Int(low & 0x7F)
  }
}
