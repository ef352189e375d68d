/// Flags in the low 12 bits of a RAM word (QEMU `migration/ram.c`, `RAM_SAVE_FLAG_…`).
///
/// A word is `offset in block | one type`, plus `continue` for page records, big-endian.
public enum RAMFlags {
  /// A zero page: a fill byte of 0 follows.
  public static let zero: UInt64 = 0x002
  /// The block list; the word's offset is the sum of all lengths.
  public static let memorySize: UInt64 = 0x004
  /// A page: its 4096 bytes follow.
  public static let page: UInt64 = 0x008
  /// The end of a body: the word is exactly this.
  public static let end: UInt64 = 0x010
  /// Same block as the page record before: no name follows.
  public static let `continue`: UInt64 = 0x020
  /// A delta: 01, a 2-byte length, and the delta follow (QEMU `migration/xbzrle.c`).
  public static let xbzrle: UInt64 = 0x040
  /// RDMA only; never in a file.
  public static let hook: UInt64 = 0x080
  /// A compressed page: a 4-byte length and a zlib stream follow; gone since QEMU 9.1.
  public static let compressed: UInt64 = 0x100
  /// Parallel channels meet here: the word is exactly this.
  public static let multifdFlush: UInt64 = 0x200
  /// The bits of a word that are flags; the others are the offset.
  public static let mask: UInt64 = 0xFFF
}

/// The `ram` section: constants of its only version in use.
public enum RAMSection {
  /// Its idstr; the instance is always 0.
  public static let name: SectionName = "ram"
  /// QEMU refuses any other.
  public static let version: UInt32 = 4
  /// Bytes of a page, and the unit of offsets and lengths.
  public static let pageSize = 4096
}

/// A RAM block as the block list names it.
public struct RAMBlock: Equatable, Sendable {
  /// `pc.ram`, `pc.bios`, `0000:00:02.0/vga.vram`.
  public var name: SectionName
  /// Bytes; a multiple of 4096, not zero.
  public var length: UInt64

  public init(name: SectionName, length: UInt64) {
    self.name = name
    self.length = length
  }
}

/// Where a page record belongs.
public struct RAMPage: Equatable, Sendable {
  /// Index in the block list.
  public var block: Int
  /// Bytes from the start of the block: a multiple of 4096, and less than the block's length.
  public var offset: UInt64

  public init(block: Int, offset: UInt64) {
    self.block = block
    self.offset = offset
  }
}

/// One record of a `ram` section's body.
public enum RAMRecord: Equatable, Sendable {
  /// The blocks are known now.
  case blockList
  /// The page is all zero.
  case zero(RAMPage)
  /// The page's 4096 bytes are the payload.
  case page(RAMPage)
  /// The payload is a delta against the page's present content.
  case xbzrle(RAMPage, length: Int)
  /// The payload is a zlib stream of the page.
  case compressed(RAMPage, length: Int)
  /// Parallel channels were synchronised; none exists in a file.
  case multifdFlush
  /// The body ends.
  case end

  /// Bytes of payload at the front of the window.
  public var payloadSize: Int {
    switch self {
    case .page: RAMSection.pageSize
    case .xbzrle(_, let length), .compressed(_, let length): length
    case .blockList, .zero, .multifdFlush, .end: 0
    }
  }

  /// The page it is about, if any.
  public var page: RAMPage? {
    switch self {
    case .zero(let page), .page(let page), .xbzrle(let page, _), .compressed(let page, _): page
    case .blockList, .multifdFlush, .end: nil
    }
  }
}
