internal import Guest
internal import QEMUStream
internal import Wire

/// Shared pages that are consecutive in a block and equally spaced in one segment of the stream.
/// They are written by one call, from the buffer into which they were read.
struct SharedPageRun {
  private static let stride = RAMEncoder.continuedPrefix + Page.size
  /// Largest number of pages in one write.
  private static let limit = 64

  /// The first page's content. Its pin keeps the segment's buffer.
  private var content: PinnedBytes?
  /// Stream offset of the first page's content.
  private var first: UInt64 = 0
  /// The segment that holds the content.
  private var segment: UInt64?
  private var place = BlockExtent(block: 0, offset: 0, size: 0)
  /// Where the contents of the pages are in the segment's buffer.
  private var pieces = SpacedPieces(
    start: 0, size: Page.size, stride: SharedPageRun.stride, count: 0)

  /// Begins with a page whose content is at `offset` of the stream, in `segment`. Precondition: the
  /// previous run was ended.
  mutating func begin(
    _ page: RAMPage, _ content: PinnedBytes, at offset: UInt64, in segment: UInt64?
  ) {
    self.content = content
    (first, self.segment) = (offset, segment)
    place = BlockExtent(block: page.block, offset: page.offset, size: UInt64(content.count))
    pieces.start = content.range.lowerBound
    pieces.count = 1
  }

  /// Adds a page that continues the run.
  /// - Returns: false when the page does not continue it.
  mutating func append(_ page: RAMPage, at offset: UInt64, in segment: UInt64?) -> Bool {
    guard pieces.count > 0, pieces.count < Self.limit, page.block == place.block,
      page.offset == place.end, offset == first + UInt64(pieces.count * pieces.stride),
      segment == self.segment
    else { return false }
    place.size += UInt64(pieces.size)
    pieces.count += 1
    return true
  }

  /// Ends the run.
  /// - Returns: what must be written and then unpinned; nil when the run is empty.
  mutating func end() -> (content: PinnedBytes, place: BlockExtent, pieces: SpacedPieces)? {
    guard let content else { return nil }
    defer {
      self.content = nil
      pieces.count = 0
    }
    return (content, place, pieces)
  }
}

/// Memory that discards everything: it is in place until the guest's memory is created.
final class DiscardedMemory: GuestMemoryOutput {
  func write(block: Int, at offset: UInt64, _ bytes: Span<UInt8>) {}
  func write(block: Int, at offset: UInt64, _ bytes: Span<UInt8>, _ pieces: SpacedPieces) {}
  func read(block: Int, at offset: UInt64, into buffer: inout MutableSpan<UInt8>) {}
}
