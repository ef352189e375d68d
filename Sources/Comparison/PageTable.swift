package import Errors
internal import FileIO
package import Guest
internal import Wire

/// Numbers for each page of a guest's RAM blocks, zero at first, in a file without a name: memory does not grow
/// with the guest.
package final class PageTable {
  /// A part of the file that is held in memory.
  private struct Window {
    /// Its number in the file; nil while it holds none.
    var number: UInt64?
    var hasChanged = false
  }

  /// Bytes that are read, written and compared at once.
  static let windowSize = 64 << 10
  private static let windowCount = 8

  /// Bytes for each page.
  let entrySize: Int
  /// Pages of each block.
  package let pages: [UInt64]
  private let file: TemporaryFile
  /// Offset in the file of each block.
  private let starts: [UInt64]
  private var windows = [Window](repeating: Window(), count: windowCount)
  private let buffer = PageBuffer(count: windowCount * windowSize)

  /// - Parameters:
  ///   - blockSizes: bytes of each block.
  ///   - words: numbers for each page.
  /// - Throws: `OUTPUT-CREATE`, `IO-WRITE`.
  package init(blockSizes: [UInt64], words: Int) throws(MigrationError) {
    entrySize = 8 * words
    pages = blockSizes.map { ($0 + Page.size64 - 1) / Page.size64 }
    var (starts, end): ([UInt64], UInt64) = ([], 0)
    for count in pages {
      // Small blocks share a window, so that pages of many blocks in turn do not change it each time.
      starts.append(end)
      end += count * UInt64(entrySize)
    }
    self.starts = starts
    let size = UInt64(Self.windowSize)
    file = try TemporaryFile(size: (end + size - 1) / size * size)
  }

  /// A number of a page.
  package func value(block: Int, page: UInt64, word: Int = 0) throws(MigrationError) -> UInt64 {
    let place = try load(block, page, word)
    let buffer = self.buffer
    return Self.number(in: buffer.span, at: place)
  }

  package func set(
    _ value: UInt64, block: Int, page: UInt64, word: Int = 0
  ) throws(MigrationError) {
    let place = try load(block, page, word)
    let buffer = self.buffer
    guard Self.number(in: buffer.span, at: place) != value else { return }
    var bytes = buffer.mutableSpan
    bytes.put(bigEndian: value, at: place)
    windows[place / Self.windowSize].hasChanged = true
  }

  /// Writes what is held in memory. To be called before `files` is read.
  /// - Throws: `IO-WRITE`.
  package func flush() throws(MigrationError) {
    for slot in windows.indices { try store(slot) }
  }

  /// The entries of each block, as bytes.
  /// - Throws: `INPUT-OPEN`.
  package func files() throws(MigrationError) -> BlockFiles {
    let input = try file.input()
    return BlockFiles(starts.map { .init(file: input, start: $0) })
  }

  /// A number, most significant byte first.
  static func number(in bytes: Span<UInt8>, at place: Int) -> UInt64 {
    var value: UInt64 = 0
    for index in place..<place + 8 { value = value << 8 | UInt64(bytes[index]) }
    return value
  }

  /// Brings the window with an entry into memory.
  /// - Returns: where the number is in the buffer.
  private func load(_ block: Int, _ page: UInt64, _ word: Int) throws(MigrationError) -> Int {
    let offset = starts[block] + page * UInt64(entrySize) + UInt64(8 * word)
    let size = UInt64(Self.windowSize)
    let number = offset / size
    let slot = Int(number % UInt64(Self.windowCount))
    if windows[slot].number != number {
      try store(slot)
      windows[slot].number = nil
      let buffer = self.buffer
      var bytes = buffer.mutableSpan(slot * Self.windowSize..<(slot + 1) * Self.windowSize)
      try file.read(at: number * size, into: &bytes)
      windows[slot].number = number
    }
    return slot * Self.windowSize + Int(offset % size)
  }

  private func store(_ slot: Int) throws(MigrationError) {
    guard let number = windows[slot].number, windows[slot].hasChanged else { return }
    let buffer = self.buffer
    let part = slot * Self.windowSize..<(slot + 1) * Self.windowSize
    try file.write(buffer.span.extracting(part), at: number * UInt64(Self.windowSize))
    windows[slot].hasChanged = false
  }
}
