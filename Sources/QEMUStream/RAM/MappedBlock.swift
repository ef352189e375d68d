internal import Errors
internal import Wire

/// The header of one RAM block in a mapped-ram stream, directly after the block's entry in the
/// block list (QEMU `migration/ram.c`, `MappedRamHeader`). All integers are big-endian.
///
/// A set bit of the bitmap means that the page's bytes are valid. A clear bit means that the page
/// is zero, whatever its bytes are. Page i is bit i % 8 of byte i / 8. The next entry of the block
/// list follows the last page.
///
/// With x-ignore-shared, a block that is left to another file has zeros as both offsets, and the next entry
/// follows at once. QEMU 10 gives the block an offset all the same, and then fails to write its bitmap: a
/// stream that it finished holds every block.
package struct MappedBlock: Equatable, Sendable {
  /// The header after the block's entry in the list.
  struct Header: WireRecord {
    /// 1.
    var version: BE32
    /// Page size of the target in bytes.
    var pageSize: BE64
    /// Offset of the bitmap from the start of the file.
    var bitmap: BE64
    /// Offset of the pages from the start of the file: page i is at this offset plus i times the page size.
    var pages: BE64

    static let version: UInt32 = 1
  }

  /// Offset of the bitmap from the start of the file.
  package var bitmap: UInt64
  /// Offset of page 0 from the start of the file.
  package var pages: UInt64
  /// Size of the block in bytes.
  package var length: UInt64
  package var page: TargetPage

  package init(bitmap: UInt64, pages: UInt64, length: UInt64, page: TargetPage = .x86) {
    self.bitmap = bitmap
    self.pages = pages
    self.length = length
    self.page = page
  }

  /// Whether the stream has no room for the block: it is left to another file.
  package var isAbsent: Bool { bitmap == 0 && pages == 0 }
  /// Size of the bitmap in bytes: whole words of 64 pages.
  package var bitmapSize: UInt64 { (page.number(length) + 63) / 64 * 8 }
  /// Offset of the end of the pages. The initialiser from a stream has checked that it does not
  /// overflow.
  package var end: UInt64 { pages + length }
}

extension StreamInput {
  /// Reads the header of a block of `length` bytes.
  /// - Parameters:
  ///   - page: page size of the stream; nil to take it from this header.
  ///   - mayBeAbsent: whether blocks may be left to other files.
  /// - Throws: `RAM-DATA` for a header with values out of range.
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
