package import Errors
internal import Wire

/// Guest-physical addresses from `start` up to, not including, `end`; whole 4 KiB pages.
package struct GPARange: Sendable, Hashable {
  /// First address beyond the architectural limit: 2^52.
  package static let limit: UInt64 = 1 << 52

  /// 4 KiB aligned.
  package let start: UInt64
  /// First address after the range, 4 KiB aligned, above `start`.
  package let end: UInt64

  /// - Throws: `GUEST-SHAPE` when the range is empty, not in whole pages or beyond the limit.
  package init(start: UInt64, end: UInt64) throws(MigrationError) {
    guard start < end, end <= Self.limit, (start | end) % Page.size64 == 0 else {
      throw MigrationError(
        .guestShape, "address range is empty, beyond the limit or not in whole pages",
        expected: "4 KiB aligned, below 2^52", got: "\(Hex.number(start)) up to \(Hex.number(end))")
    }
    (self.start, self.end) = (start, end)
  }

  /// Makes a range from bounds that are known to be well formed.
  init(unchecked start: UInt64, _ end: UInt64) { (self.start, self.end) = (start, end) }

  /// Bytes.
  package var size: UInt64 { end - start }
  /// 4 KiB pages.
  package var pages: UInt64 { size / Page.size64 }

  /// Whether `gpa` lies in the range.
  package func contains(_ gpa: UInt64) -> Bool { start <= gpa && gpa < end }
}
