internal import Wire

/// The size of main memory according to the CMOS of an x86 machine.
///
/// QEMU writes it before the guest starts (hw/i386/pc.c, `pc_cmos_init`, and microvm.c). It does
/// not count memory that is plugged in. All fields are little-endian:
///
///     offset  size  field
///       0x15     2  KiB of memory, at most 640
///       0x30     2  KiB between 1 MiB and the hole below 4 GiB, at most 65535
///       0x34     2  units of 64 KiB between 16 MiB and the hole
///       0x5b     3  units of 64 KiB above 4 GiB, modulo 2^24
///
/// All values are rounded down. A guest can write its CMOS, so they are compared with the sizes of
/// the RAM blocks.
package struct CMOSMemory: Sendable, Hashable {
  /// Size of the CMOS in bytes.
  package static let size = 128
  private static let unit: UInt64 = 64 << 10
  private static let mebibyte: UInt64 = 1 << 20

  /// Possible numbers of bytes below the hole at 4 GiB; empty when the fields contradict each
  /// other.
  let below: Range<UInt64>
  /// Units of 64 KiB above 4 GiB, modulo 2^24.
  let above: UInt64

  /// - Parameter bytes: the first `size` bytes of a section `mc146818rtc`.
  package init(_ bytes: Span<UInt8>) {
    precondition(bytes.count >= Self.size)
    func field(_ offset: Int, _ count: Int = 2) -> UInt64 {
      (0..<count).reduce(0) { $0 | UInt64(bytes[offset + $1]) << UInt64(8 * $1) }
    }
    let (conventional, extended, units) = (field(0x15), field(0x30), field(0x34))
    let mebibyte = Self.mebibyte
    var (low, high): (UInt64, UInt64)
    switch (conventional, extended) {
    case (_, 0xffff): (low, high) = (mebibyte + 0xffff << 10, 4 << 30 + 1)
    case (_, 1...): (low, high) = (mebibyte + extended << 10, mebibyte + (extended + 1) << 10)
    case (640..., _): (low, high) = (640 << 10, mebibyte + 1 << 10)
    default: (low, high) = (conventional << 10, (conventional + 1) << 10)
    }
    let first = 16 * mebibyte + units * Self.unit
    if units > 0 { low = max(low, first) }
    // All memory may lie below 4 GiB, up to its last byte.
    high = min(max(high, low), units == 0xff00 ? 4 << 30 + 1 : first + Self.unit)
    below = low..<max(low, high)
    above = field(0x5b, 3)
  }

  /// The number of bytes below the hole.
  /// - Parameters:
  ///   - total: bytes of all of main memory.
  ///   - rule: bytes that lie below the hole by the machine's rule. Where this fits the rounded
  ///     values, it is the result.
  /// - Returns: nil when main memory of this size does not fit the CMOS.
  func below(of total: UInt64, by rule: UInt64) -> UInt64? {
    let first = (below.lowerBound + Page.size64 - 1) / Page.size64 * Page.size64
    let fitting = stride(from: first, to: below.upperBound, by: Page.size).filter {
      // No machine has less than a unit above 4 GiB.
      $0 == total && above == 0
        || $0 < total && total - $0 >= Self.unit && (total - $0) / Self.unit & 0xff_ffff == above
    }
    if fitting.contains(rule) { return rule }
    if fitting.contains(total) { return total }
    return fitting.count == 1 ? fitting[0] : nil
  }
}

extension CMOSMemory: CustomStringConvertible {
  /// "0x1000000 bytes below 4 GiB and 0x2000000 above".
  package var description: String {
    "\(Hex.number(below.lowerBound)) bytes below 4 GiB and \(Hex.number(above * Self.unit)) above"
  }
}
