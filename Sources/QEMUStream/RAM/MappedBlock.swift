internal import Errors
internal import Wire

/// The header of one RAM block in a mapped-ram stream, directly after the block's entry in the
/// block list (QEMU `migration/ram.c`, `MappedRamHeader`). All integers are big-endian.
///
///     offset  size  field
///          0     4  version       1
///          4     8  page size     of the target
///         12     8  bitmap        offset from the start of the file
///         20     8  pages         likewise; page i is at this offset plus i times the page size
///
/// A set bit of the bitmap means that the page's bytes are valid. A clear bit means that the page
/// is zero, whatever its bytes are. Page i is bit i % 8 of byte i / 8. The next entry of the block
/// list follows the last page.
package struct MappedBlock: Equatable, Sendable {
  /// Size of the header in bytes.
  static let headerSize = 28

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

  /// Size of the bitmap in bytes: whole words of 64 pages.
  package var bitmapSize: UInt64 { (page.number(length) + 63) / 64 * 8 }
  /// Offset of the end of the pages. The initialiser from a stream has checked that it does not
  /// overflow.
  package var end: UInt64 { pages + length }
}

extension StreamInput {
  /// Reads the header of a block of `length` bytes.
  /// - Parameter page: page size of the stream; nil to take it from this header.
  /// - Throws: `RAM-DATA` for a header with values out of range.
  func readMappedBlock(
    length: UInt64, _ page: TargetPage?
  ) throws(MigrationError) -> MappedBlock {
    let start = offset
    let version = try read(UInt32.self)
    let pageSize = try read(UInt64.self)
    func refused(_ what: String, _ got: UInt64, at place: UInt64) -> MigrationError {
      MigrationError(
        .ramData, "mapped-ram header \(what)", in: .ram,
        at: start &+ place, got: Hex.number(got))
    }
    guard version <= 1 else { throw refused("has an unknown version", UInt64(version), at: 0) }
    guard let found = TargetPage(size: pageSize), found == page ?? found,
      length & found.mask == 0
    else {
      throw refused("has another page size than \((page ?? .x86).size)", pageSize, at: 4)
    }
    let block = MappedBlock(bitmap: try read(), pages: try read(), length: length, page: found)
    let (bitmapEnd, tooFar) = block.bitmap.addingReportingOverflow(block.bitmapSize)
    guard block.bitmap >= offset, !tooFar else {
      throw refused("has its bitmap in a wrong place", block.bitmap, at: 12)
    }
    guard block.pages >= bitmapEnd, block.pages & found.mask == 0,
      !block.pages.addingReportingOverflow(length).overflow
    else { throw refused("has its pages in a wrong place", block.pages, at: 20) }
    return block
  }
}
