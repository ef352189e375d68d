internal import Errors
internal import Wire

/// What a mapped-ram stream says of one RAM block, right after its entry in the block list (QEMU
/// `migration/ram.c`, `MappedRamHeader`). All integers are big-endian.
///
/// A bit of the bitmap that is set says that the page's bytes are valid; clear, that the page is
/// zero, whatever bytes lie there. Page i is bit i % 8 of byte i / 8. The next entry of the list
/// follows the last page.
///
/// With x-ignore-shared a block that is left to another file has zeros for both places, and the next entry
/// follows at once. QEMU 10 gives it a place all the same, and then fails to write its bitmap: what it has
/// written to the end holds every block.
package struct MappedBlock: Equatable, Sendable {
  /// What follows the entry.
  struct Header: WireRecord {
    /// 1.
    var version: BE32
    /// Of the target.
    var pageSize: BE64
    /// Where the bitmap lies, from the start of the file.
    var bitmap: BE64
    /// Where the pages lie, likewise: page i there plus i times the page size.
    var pages: BE64

    static let version: UInt32 = 1
  }

  /// Where the bitmap lies, from the start of the file.
  package var bitmap: UInt64
  /// Where page 0 lies, from the start of the file.
  package var pages: UInt64
  /// Bytes of the block.
  package var length: UInt64
  package var page: TargetPage

  package init(bitmap: UInt64, pages: UInt64, length: UInt64, page: TargetPage = .x86) {
    self.bitmap = bitmap
    self.pages = pages
    self.length = length
    self.page = page
  }

  /// Whether the stream has no room for it: it is left to another file.
  package var isAbsent: Bool { bitmap == 0 && pages == 0 }
  /// Bytes of the bitmap: whole words of 64 pages.
  package var bitmapSize: UInt64 { (page.number(length) + 63) / 64 * 8 }
  /// Where the pages end. The initialiser from a stream has seen that this does not overflow.
  package var end: UInt64 { pages + length }
}

extension StreamInput {
  /// Reads the header of a block of `length` bytes.
  /// - Parameters:
  ///   - page: of the stream; nil when this header is to tell.
  ///   - mayBeAbsent: whether blocks may be left to other files.
  /// - Throws: `RAM-DATA` for a header that cannot be.
  func readMappedBlock(
    length: UInt64, _ page: TargetPage?, mayBeAbsent: Bool
  ) throws(MigrationError) -> MappedBlock {
    let start = offset
    let header = try readRecord(MappedBlock.Header.self)
    func refused<Field>(
      _ what: String, _ got: UInt64, at field: KeyPath<MappedBlock.Header, Field>
    ) -> MigrationError where Field: WireField {
      MigrationError(
        .ramData, "mapped-ram header \(what)", in: .ram,
        at: MappedBlock.Header.offset(of: field, from: start), got: Hex.number(got))
    }
    let version = header.version.value
    guard version <= MappedBlock.Header.version else {
      throw refused("has an unknown version", UInt64(version), at: \.version)
    }
    let pageSize = header.pageSize.value
    guard let found = TargetPage(size: pageSize), found == page ?? found,
      length & found.mask == 0
    else {
      throw refused(
        "has another page size than \((page ?? .x86).size)", pageSize, at: \.pageSize)
    }
    let block = MappedBlock(
      bitmap: header.bitmap.value, pages: header.pages.value, length: length, page: found)
    if mayBeAbsent, block.isAbsent { return block }
    let (bitmapEnd, tooFar) = block.bitmap.addingReportingOverflow(block.bitmapSize)
    guard block.bitmap >= offset, !tooFar else {
      throw refused("has its bitmap in a wrong place", block.bitmap, at: \.bitmap)
    }
    guard block.pages >= bitmapEnd, block.pages & found.mask == 0,
      !block.pages.addingReportingOverflow(length).overflow
    else { throw refused("has its pages in a wrong place", block.pages, at: \.pages) }
    return block
  }
}
