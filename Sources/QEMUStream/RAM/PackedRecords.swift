package import Errors
package import Wire

/// Restores the content of pages whose records do not hold it as it is: deltas and compressed pages.
///
/// Nothing is allocated per page. One thread at a time.
package final class PackedRecords {
  /// Fills a buffer with the content that a page had before.
  package typealias Earlier = (RAMPage, inout MutableSpan<UInt8>) throws(MigrationError) -> Void

  private var inflater: PageInflater?
  /// Buffer for one page of any stream.
  package let content = PageBuffer(count: TargetPage.largest.size)

  package init() {}

  /// Restores the page of a record of type `xbzrle` or `compressed` into `content`.
  /// - Parameters:
  ///   - input: has the record's payload at the front of its window.
  ///   - size: page size of the stream in bytes.
  ///   - earlier: called for a delta.
  /// - Throws: `RAM-DATA` for a payload that does not give a page; `IMAGE-FORMAT` for far more pages than a
  ///   packed file may hold; what `earlier` throws.
  package func restore(
    _ record: RAMRecord, from input: StreamInput, size: Int, earlier: Earlier
  ) throws(MigrationError) {
    try input.count(unpacked: size)
    let content = self.content
    var page = content.mutableSpan(0..<size)
    switch record {
    case .xbzrle(let place, let length):
      try earlier(place, &page)
      try XBZRLE.apply(input.bytes.extracting(first: length), to: &page, at: input.offset)
    case .compressed(_, let length):
      if inflater == nil { inflater = try PageInflater() }
      try inflater?.inflate(input.bytes.extracting(first: length), into: &page, at: input.offset)
    case .blockList, .zero, .page, .multifdFlush, .foreign, .end:
      throw MigrationError(.internal, "record is not packed", at: input.offset)
    }
  }
}
