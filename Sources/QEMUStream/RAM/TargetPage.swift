internal import Wire

/// The page size of the machine that wrote a stream. It is the unit of the stream's RAM records and
/// of all offsets and lengths in them, and is the same in the whole stream.
///
/// QEMU defines it at build time (`target/*/cpu-param.h`): 256 bytes on AVR, 1 KiB on 32-bit Arm
/// boards, 8 KiB on Alpha, SPARC64 and OpenRISC, 16 KiB on TriCore, 4 KiB on x86 and nearly all
/// others. The word of a record has its flags in the bits below the page size.
package struct TargetPage: Equatable, Sendable {
  /// Page sizes that streams may have, as powers of two.
  package static let possibleBits: ClosedRange<UInt32> = 8...16
  /// The page size of x86.
  package static var x86: TargetPage { TargetPage(possibleBits: 12) }
  /// The smallest page size.
  static var smallest: TargetPage { TargetPage(possibleBits: possibleBits.lowerBound) }
  /// The largest page size.
  static var largest: TargetPage { TargetPage(possibleBits: possibleBits.upperBound) }

  /// Size in bytes.
  package let size: Int
  /// The size as a power of two.
  package let bits: UInt64

  private init(possibleBits bits: UInt32) { (self.bits, size) = (UInt64(bits), 1 << Int(bits)) }

  /// - Returns: nil unless a target may have this page size.
  package init?(bits: UInt32) {
    guard Self.possibleBits.contains(bits) else { return nil }
    self.init(possibleBits: bits)
  }

  /// - Parameter size: bytes.
  /// - Returns: nil unless a target may have this page size.
  package init?(size: UInt64) {
    guard size > 0, size & (size - 1) == 0 else { return nil }
    self.init(bits: UInt32(size.trailingZeroBitCount))
  }

  /// The bits of a word that are flags; the others are the offset.
  package var mask: UInt64 { UInt64(size) &- 1 }

  /// The number of the page at an offset, or the number of whole pages in a length.
  package func number(_ bytes: UInt64) -> UInt64 { bytes &>> bits }
}

extension TargetPage {
  /// The page size of a machine whose name is one of QEMU's x86 machines, or of a vendor's version of one.
  /// - Returns: nil for any other name.
  init?(machine name: [UInt8]) {
    let machine = String(decoding: name, as: UTF8.self)
    guard ["pc", "q35", "isapc", "microvm"].contains(machine) || machine.hasPrefix("pc-") else {
      return nil
    }
    self = .x86
  }

  /// The assumption from a block list when no other data give the page size: at most that of x86,
  /// and a divisor of every length.
  init(fitting blocks: [RAMBlock]) {
    let common = blocks.reduce(UInt64(Page.size)) { $0 | $1.length }
    self = TargetPage(size: 1 << UInt64(common.trailingZeroBitCount)) ?? .smallest
  }

  /// The page size shown by the first page record of a stream. QEMU sends the first pages of the
  /// first block in order, so the word of the second record is the page size with flags.
  /// - Parameters:
  ///   - isZero: whether the payload is a zero page's fill byte, not the content of a page.
  ///   - length: size of the block in bytes.
  ///   - word: returns the eight bytes at the given distance after the first record's word and
  ///     name; nil at the end of the stream.
  /// - Returns: nil when the second record is not of this form.
  init?<Failure: Error>(
    afterFirst isZero: Bool, of length: UInt64,
    word: (_ place: Int) throws(Failure) -> UInt64?
  ) throws(Failure) {
    for bits in Self.possibleBits {
      let page = TargetPage(possibleBits: bits)
      guard UInt64(page.size) < length, let word = try word(isZero ? 1 : page.size) else {
        continue
      }
      let next = UInt64(page.size) | RAMFlags.continue
      if word == next | RAMFlags.zero || word == next | RAMFlags.page {
        self = page
        return
      }
    }
    return nil
  }
}
