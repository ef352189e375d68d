internal import Bytes
internal import Guest

/// Makes a bundle of a raw memory image.
struct RawImport {
  private static let pageSize = 4096
  /// Bytes read at once.
  private static let batchSize = 1 << 20

  private let path: String
  private let additions: ImportAdditions

  init(_ path: String, _ additions: ImportAdditions) {
    self.path = path
    self.additions = additions
  }

  /// - Parameter progress: told the bytes of memory done.
  /// - Throws: what opening a raw image and writing a bundle throw.
  func run(
    into writer: GuestWriter, progress: (UInt64) -> Void
  ) throws(MigrationError) -> GuestDescription {
    var options = RawImageOptions()
    if let machine = additions.machine { options.machine = machine }
    options.below4G = additions.below4G
    options.privateRanges = additions.privateRanges
    options.vcpus = additions.vcpus
    options.services = additions.services
    let reader = try GuestReader(rawImage: path, options)
    let memory = try writer.begin(blockSizes: reader.description.ramBlocks.map(\.size))
    let buffer = PageBuffer(count: Self.batchSize)
    var offset: UInt64 = 0
    while let data = try reader.nextData(block: 0, from: offset) {
      // A stretch need not begin at a page; memory does.
      var next = data.lowerBound & ~UInt64(Self.pageSize - 1)
      let size = reader.description.ramBlocks[0].size
      let end = min(
        (data.upperBound + UInt64(Self.pageSize - 1)) & ~UInt64(Self.pageSize - 1), size)
      while next < end {
        let count = Int(min(UInt64(Self.batchSize), end - next))
        var span = buffer.mutableSpan
        // `count` is at most the buffer's own size.
        try unsafe span.withUnsafeMutableBytes { (bytes) throws(MigrationError) in
          try unsafe reader.read(block: 0, at: next, into: .init(rebasing: bytes[..<count]))
        }
        try write(buffer, count, at: next, to: memory)
        next += UInt64(count)
        progress(next)
      }
      offset = end
    }
    try memory.finish(reader.description)
    return reader.description
  }

  /// Writes the pages of the buffer that are not zero, side by side at once.
  private func write(
    _ buffer: PageBuffer, _ count: Int, at offset: UInt64, to memory: GuestBundleMemory
  ) throws(MigrationError) {
    let bytes = buffer.span
    var start = 0
    for position in stride(from: 0, through: count, by: Self.pageSize) {
      let isEnd = position == count
      guard isEnd || bytes.extracting(position..<position + Self.pageSize).isAllZero else {
        continue
      }
      if start < position {
        try memory.write(
          block: 0, at: offset + UInt64(start), bytes.extracting(start..<position))
      }
      start = position + Self.pageSize
    }
  }
}
