internal import Bytes
internal import Guest
internal import QEMUStream
internal import SVSM
internal import Threads

/// Private pages to be opened.
final class ImportBatch: WorkItem, @unchecked Sendable {
  let pages: PageImport
  /// The records, one every `SNPStreamReader.pageStride` bytes.
  var records: PinnedBytes?
  var count = 0
  /// Stream offset of the first record.
  var offset: UInt64 = 0

  init(_ pages: PageImport) { self.pages = pages }

  override func perform() {
    guard let records else { return }
    pages.open(records.bytes, stride: SNPStreamReader.pageStride, count: count)
  }
}

/// Shared pages that follow each other in a block and stand at equal distances in one segment of the
/// stream: they are written at once, from where they were read.
struct SharedPageRun {
  private static let stride = RAMEncoder.continuedPrefix + RAMSection.pageSize
  /// Pages written at once at most.
  private static let limit = 256

  /// The first page's content: it keeps the segment.
  private var content: PinnedBytes?
  private(set) var place = BlockExtent(block: 0, offset: 0, size: 0)
  /// The pages' contents in the segment's buffer.
  private(set) var pieces = SpacedPieces(
    start: 0, size: RAMSection.pageSize, stride: SharedPageRun.stride, count: 0)

  /// Begins with a page. Precondition: the run was ended.
  mutating func begin(_ page: RAMPage, _ content: PinnedBytes) {
    self.content = content
    place = BlockExtent(block: page.block, offset: page.offset, size: UInt64(content.count))
    pieces.start = content.range.lowerBound
    pieces.count = 1
  }

  /// Takes in a page that continues the run.
  /// - Returns: false when it does not.
  mutating func append(_ page: RAMPage, _ content: PinnedBytes) -> Bool {
    guard let first = self.content, first.buffer === content.buffer,
      content.range.lowerBound == pieces.start + pieces.count * pieces.stride,
      page.block == place.block, page.offset == place.end, pieces.count < Self.limit
    else { return false }
    place.size += UInt64(content.count)
    pieces.count += 1
    return true
  }

  /// Ends the run; `place` and `pieces` say what is to be written.
  /// - Returns: what is to be unpinned then; nil when no page is in it.
  mutating func end() -> PinnedBytes? {
    defer { content = nil }
    return content
  }
}

/// Takes memory and keeps none of it: a verifier decrypts pages and restores nothing.
final class DiscardedMemory: GuestMemoryOutput {
  func write(block: Int, at offset: UInt64, _ bytes: Span<UInt8>) {}
  func write(block: Int, at offset: UInt64, _ bytes: Span<UInt8>, _ pieces: SpacedPieces) {}
  func read(block: Int, at offset: UInt64, into buffer: inout MutableSpan<UInt8>) {}
}
