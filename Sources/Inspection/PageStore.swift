internal import Errors
internal import QEMUStream
internal import Wire

/// Keeps one page of the memory that is written to it.
///
/// All other memory reads as zeros. A delta against a page that is not kept gives a wrong page, which is
/// not kept either.
final class PageStore: RAMStore {
  private let place: RAMPage
  private(set) var page = [UInt8](repeating: 0, count: Page.size)

  init(_ place: RAMPage) { self.place = place }

  func write(block: Int, at offset: UInt64, _ bytes: Span<UInt8>) throws(MigrationError) {
    guard let common = overlap(block, offset, bytes.count) else { return }
    for position in common { page[Int(position - place.offset)] = bytes[Int(position - offset)] }
  }

  func read(
    block: Int, at offset: UInt64, into buffer: inout MutableSpan<UInt8>
  ) throws(MigrationError) {
    for index in buffer.indices { buffer[index] = 0 }
    for position in overlap(block, offset, buffer.count) ?? 0..<0 {
      buffer[Int(position - offset)] = page[Int(position - place.offset)]
    }
  }

  /// The offsets in the block at which `count` bytes at `offset` belong to the page.
  private func overlap(_ block: Int, _ offset: UInt64, _ count: Int) -> Range<UInt64>? {
    guard block == place.block else { return nil }
    let common = (offset..<offset + UInt64(count))
      .clamped(to: place.offset..<place.offset + UInt64(page.count))
    return common.isEmpty ? nil : common
  }
}
