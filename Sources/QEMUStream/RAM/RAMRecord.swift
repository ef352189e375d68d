/// Flags in the low bits of a RAM word, below the page number (QEMU `migration/ram.c`,
/// `RAM_SAVE_FLAG_…`).
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
  /// The page is in the same block as the previous page: no name follows.
  package static let `continue`: UInt64 = 0x020
  /// A delta: the byte 01, a 2-byte length and the delta follow (QEMU `migration/xbzrle.c`).
  package static let xbzrle: UInt64 = 0x040
  /// Used for RDMA only; never in a file.
  package static let hook: UInt64 = 0x080
  /// A compressed page: a 4-byte length and a zlib stream follow. Removed in QEMU 9.1.
  package static let compressed: UInt64 = 0x100
  /// A multifd flush, at which the channels wait for each other: the word is exactly this.
  package static let multifdFlush: UInt64 = 0x200
}

/// Constants of the `ram` section, in the only version in use.
package enum RAMSection {
  /// The section's idstr; its instance is always 0.
  package static let name: SectionName = "ram"
  /// The version; QEMU refuses any other.
  package static let version: UInt32 = 4
}

/// A RAM block as it is in the block list.
package struct RAMBlock: Equatable, Sendable {
  /// The idstr: `pc.ram`, `pc.bios`, `0000:00:02.0/vga.vram`.
  package var name: SectionName
  /// Size in bytes; a multiple of the target's page size, not zero.
  package var length: UInt64

  package init(name: SectionName, length: UInt64) {
    self.name = name
    self.length = length
  }
}

/// The block and offset of a page.
package struct RAMPage: Equatable, Sendable {
  /// Index in the block list.
  package var block: Int
  /// Offset in bytes from the start of the block: a multiple of the target's page size, and less
  /// than the block's length.
  package var offset: UInt64

  package init(block: Int, offset: UInt64) {
    self.block = block
    self.offset = offset
  }
}

/// One record of a `ram` section's body.
package enum RAMRecord: Equatable, Sendable {
  /// The block list was read.
  case blockList
  /// The page is all zero.
  case zero(RAMPage)
  /// The page's bytes are the payload.
  case page(RAMPage)
  /// The payload is a delta against the present content of the page.
  case xbzrle(RAMPage, length: Int)
  /// The payload is a zlib stream of the page.
  case compressed(RAMPage, length: Int)
  /// A multifd flush. A file without channels has none.
  case multifdFlush
  /// The word belongs to a dialect, as do the data after it.
  case foreign(ForeignWord)
  /// The body ends.
  case end

  /// Size in bytes of the payload at the front of the window.
  /// - Parameter page: page size of the stream in bytes.
  package func payloadSize(page: Int) -> Int {
    switch self {
    case .page: page
    case .xbzrle(_, let length), .compressed(_, let length): length
    case .blockList, .zero, .multifdFlush, .foreign, .end: 0
    }
  }

  /// The page of the record, if it has one.
  package var page: RAMPage? {
    switch self {
    case .zero(let page), .page(let page), .xbzrle(let page, _), .compressed(let page, _): page
    case .blockList, .multifdFlush, .foreign, .end: nil
    }
  }
}
