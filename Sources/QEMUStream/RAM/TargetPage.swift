internal import Wire

/// The page of the machine that a stream is of: the unit of its RAM records, and of all offsets and
/// lengths among them. One for a whole stream.
///
/// QEMU builds it in (`target/*/cpu-param.h`): 256 bytes on AVR, 1 KiB on 32-bit Arm boards, 8 KiB on
/// Alpha, SPARC64 and OpenRISC, 16 KiB on TriCore, 4 KiB on x86 and nearly all others. The word of a
/// record has its flags in the bits below it.
package struct TargetPage: Equatable, Sendable {
  /// Sizes that streams may have, as powers of two.
  package static let possibleBits: ClosedRange<UInt32> = 8...16
  /// The page of x86.
  package static var x86: TargetPage { TargetPage(possibleBits: 12) }
  /// The smallest of all.
  static var smallest: TargetPage { TargetPage(possibleBits: possibleBits.lowerBound) }
  /// The largest of all.
  static var largest: TargetPage { TargetPage(possibleBits: possibleBits.upperBound) }

  /// Bytes.
  package let size: Int
  /// The power of two that the size is.
  package let bits: UInt64

  private init(possibleBits bits: UInt32) { (self.bits, size) = (UInt64(bits), 1 << Int(bits)) }

  /// - Returns: nil unless a target may have such pages.
  package init?(bits: UInt32) {
    guard Self.possibleBits.contains(bits) else { return nil }
    self.init(possibleBits: bits)
  }

  /// - Parameter size: bytes.
  /// - Returns: nil unless a target may have such pages.
  package init?(size: UInt64) {
    guard size > 0, size & (size - 1) == 0 else { return nil }
    self.init(bits: UInt32(size.trailingZeroBitCount))
  }

  /// The bits of a word that are flags; the others are the offset.
  package var mask: UInt64 { UInt64(size) &- 1 }

  /// The number of the page at an offset, or of whole pages in a length.
  package func number(_ bytes: UInt64) -> UInt64 { bytes &>> bits }
}

extension TargetPage {
  /// What a list of blocks shows, when nothing else tells: not more than x86's, and none that a length
  /// is no multiple of.
  init(fitting blocks: [RAMBlock]) {
    let common = blocks.reduce(UInt64(Page.size)) { $0 | $1.length }
    self = TargetPage(size: 1 << UInt64(common.trailingZeroBitCount)) ?? .smallest
  }

  /// What the first page record of a stream shows: QEMU begins with the first pages of the first block,
  /// one after the other, so the word of the next record is the size of a page with flags.
  /// - Parameters:
  ///   - isZero: whether a zero page's fill byte follows, or the content of a page.
  ///   - length: bytes of the block.
  ///   - word: gives the eight bytes so far behind the record's head; nil at the end of the stream.
  /// - Returns: nil when the record after it is no such one.
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
