internal import Errors
internal import Guest
internal import QEMUStream
internal import Wire

/// Whether the memory that an SVSM reads itself is that of the guest whose VMM sends the stream.
///
/// Nothing in a stream names the file behind a RAM block. But of a guest that runs, most pages are in its
/// memory as its VMM has just sent them; in memory of another guest few are.
struct MemorySamples: ~Copyable {
  /// Samples below which nothing is concluded.
  private static let fewest = 8

  private var count = 0
  private var same = 0
  private let buffer = PageBuffer(count: Page.size)

  /// Compares a page that is on its way with memory.
  /// - Throws: `IO-READ`.
  mutating func compare(
    _ page: RAMPage, _ content: Span<UInt8>, with memory: BlockFiles
  ) throws(MigrationError) {
    var bytes = buffer.mutableSpan(0..<Page.size)
    try memory.read(block: page.block, at: page.offset, into: &bytes)
    count += 1
    if content.isEqual(to: buffer.span) { same += 1 }
  }

  /// - Throws: `RAM-BLOCK` when most pages were other ones.
  func requireSame() throws(MigrationError) {
    guard count >= Self.fewest, same * 2 < count else { return }
    throw MigrationError(
      .ramBlock, "the memory is not that of the guest that was sent", in: .ram,
      expected: "\(Need.memory) with the file that QEMU has", got: "\(same) of \(count) pages alike"
    )
  }
}
