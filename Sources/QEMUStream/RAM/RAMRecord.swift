/// Flags in the low bits of a RAM word, those below a page (QEMU `migration/ram.c`, `RAM_SAVE_FLAG_…`).
///
/// A word is `offset in block | one type`, plus `continue` for page records, big-endian.
package enum RAMFlags {
  /// A zero page: a fill byte of 0 follows.
  package static let zero: UInt64 = 0x002
  /// The block list; the word's offset is the sum of all lengths.
  package static let memorySize: UInt64 = 0x004
  /// A page: its bytes follow.
  package static let page: UInt64 = 0x008
  /// The end of a body: the word is exactly this.
  package static let end: UInt64 = 0x010
  /// Same block as the page record before: no name follows.
  package static let `continue`: UInt64 = 0x020
  /// A delta: 01, a 2-byte length, and the delta follow (QEMU `migration/xbzrle.c`).
  package static let xbzrle: UInt64 = 0x040
  /// RDMA only; never in a file.
  package static let hook: UInt64 = 0x080
  /// A compressed page: a 4-byte length and a zlib stream follow; gone since QEMU 9.1.
  package static let compressed: UInt64 = 0x100
  /// Parallel channels meet here: the word is exactly this.
  package static let multifdFlush: UInt64 = 0x200
}

/// The `ram` section: constants of its only version in use.
package enum RAMSection {
  /// Its idstr; the instance is always 0.
  package static let name: SectionName = "ram"
  /// QEMU refuses any other.
  package static let version: UInt32 = 4
}

/// A RAM block as the block list names it.
package struct RAMBlock: Equatable, Sendable {
  /// `pc.ram`, `pc.bios`, `0000:00:02.0/vga.vram`.
  package var name: SectionName
  /// Bytes; a multiple of a target page, not zero.
  package var length: UInt64

  package init(name: SectionName, length: UInt64) {
    self.name = name
    self.length = length
  }
}

/// Where a page record belongs.
package struct RAMPage: Equatable, Sendable {
  /// Index in the block list.
  package var block: Int
  /// Bytes from the start of the block: a multiple of a target page, and less than the
  /// block's length.
  package var offset: UInt64

  package init(block: Int, offset: UInt64) {
    self.block = block
    self.offset = offset
  }
}

/// One record of a `ram` section's body.
package enum RAMRecord: Equatable, Sendable {
  /// The blocks are known now.
  case blockList
  /// The page is all zero.
  case zero(RAMPage)
  /// The page's bytes are the payload.
  case page(RAMPage)
  /// The payload is a delta against the page's present content.
  case xbzrle(RAMPage, length: Int)
  /// The payload is a zlib stream of the page.
  case compressed(RAMPage, length: Int)
  /// Parallel channels were synchronised; none exists in a file.
  case multifdFlush
  /// The word is none of QEMU's: what follows is a dialect's.
  case foreign(ForeignWord)
  /// The body ends.
  case end

  /// Bytes of payload at the front of the window.
  /// - Parameter page: bytes of a page of the stream.
  package func payloadSize(page: Int) -> Int {
    switch self {
    case .page: page
    case .xbzrle(_, let length), .compressed(_, let length): length
    case .blockList, .zero, .multifdFlush, .foreign, .end: 0
    }
  }

  /// The page it is about, if any.
  package var page: RAMPage? {
    switch self {
    case .zero(let page), .page(let page), .xbzrle(let page, _), .compressed(let page, _): page
    case .blockList, .multifdFlush, .foreign, .end: nil
    }
  }
}
