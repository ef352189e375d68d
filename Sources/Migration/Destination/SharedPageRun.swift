internal import Guest
internal import QEMUStream
internal import Wire

/// Shared pages that follow each other in a block and stand at equal distances in one segment of the
/// stream: they are written at once, from where they were read.
struct SharedPageRun {
  private static let stride = RAMEncoder.continuedPrefix + RAMSection.pageSize
  /// Pages written at once at most.
  private static let limit = 256

  /// The first page's content: it keeps the segment.
  private var content: PinnedBytes?
  /// Stream offset of the first page's content.
  private var first: UInt64 = 0
  /// The segment it lies in.
  private var segment: UInt64?
  private var place = BlockExtent(block: 0, offset: 0, size: 0)
  /// The pages' contents in the segment's buffer.
  private var pieces = SpacedPieces(
    start: 0, size: RAMSection.pageSize, stride: SharedPageRun.stride, count: 0)

  /// Begins with a page whose content stands at `offset` of the stream, in `segment`. Precondition:
  /// the run was ended.
  mutating func begin(
    _ page: RAMPage, _ content: PinnedBytes, at offset: UInt64, in segment: UInt64?
  ) {
    self.content = content
    (first, self.segment) = (offset, segment)
    place = BlockExtent(block: page.block, offset: page.offset, size: UInt64(content.count))
    pieces.start = content.range.lowerBound
    pieces.count = 1
  }

  /// Takes in a page that continues the run.
  /// - Returns: false when it does not.
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
  /// - Returns: what is to be written and then unpinned; nil when no page is in it.
  mutating func end() -> (content: PinnedBytes, place: BlockExtent, pieces: SpacedPieces)? {
    guard let content else { return nil }
    defer {
      self.content = nil
      pieces.count = 0
    }
    return (content, place, pieces)
  }
}

/// Takes memory and keeps none of it: what a destination holds before the guest's is made.
final class DiscardedMemory: GuestMemoryOutput {
  func write(block: Int, at offset: UInt64, _ bytes: Span<UInt8>) {}
  func write(block: Int, at offset: UInt64, _ bytes: Span<UInt8>, _ pieces: SpacedPieces) {}
  func read(block: Int, at offset: UInt64, into buffer: inout MutableSpan<UInt8>) {}
}
