internal import Errors
internal import Wire

/// What a mapped-ram stream says of one RAM block, right after its entry in the block list (QEMU
/// `migration/ram.c`, `MappedRamHeader`). All integers are big-endian.
///
///     offset  size  field
///          0     4  version       1
///          4     8  page size     of the target
///         12     8  bitmap        where it lies, from the start of the file
///         20     8  pages         likewise: page i lies there plus i times the page size
///
/// A bit of the bitmap that is set says that the page's bytes are valid; clear, that the page is
/// zero, whatever bytes lie there. Page i is bit i % 8 of byte i / 8. The next entry of the list
/// follows the last page.
package struct MappedBlock: Equatable, Sendable {
  /// Bytes of the header.
  static let headerSize = 28

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

  /// Bytes of the bitmap: whole words of 64 pages.
  package var bitmapSize: UInt64 { (page.number(length) + 63) / 64 * 8 }
  /// Where the pages end. The initialiser from a stream has seen that this does not overflow.
  package var end: UInt64 { pages + length }
}

extension StreamInput {
  /// Reads the header of a block of `length` bytes.
  /// - Parameter page: of the stream; nil when this header is to tell.
  /// - Throws: `RAM-DATA` for a header that cannot be.
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
