package import Errors
package import Guest
internal import Wire

/// Makes a guest bundle from a raw memory image.
package struct RawImport {
  /// Bytes read at once.
  private static let batchSize = 1 << 20

  private let path: String
  private let additions: ImportAdditions

  package init(_ path: String, _ additions: ImportAdditions) {
    self.path = path
    self.additions = additions
  }

  /// - Parameter progress: called with the number of bytes of memory that are done.
  /// - Throws: the errors of opening a raw image and of writing a bundle.
  package func run(
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
    let size = reader.description.ramBlocks[0].size
    var next: UInt64 = 0
    while next < size {
      let stretch = try reader.stretch(block: 0, from: next, to: size)
      while !stretch.isHole, next < stretch.end {
        let count = Int(min(UInt64(Self.batchSize), stretch.end - next))
        var target = buffer.mutableSpan(0..<count)
        try reader.read(block: 0, at: next, into: &target)
        try write(buffer, count, at: next, to: memory)
        next += UInt64(count)
        progress(next)
      }
      next = stretch.end
    }
    try reader.requireSizes()
    try memory.finish(reader.description)
    return reader.description
  }

  /// Writes the pages of the buffer that are not zero; adjacent pages are written by one call.
  private func write(
    _ buffer: PageBuffer, _ count: Int, at offset: UInt64, to memory: GuestBundleMemory
  ) throws(MigrationError) {
    let bytes = buffer.span
    var start = 0
    for position in stride(from: 0, through: count, by: Page.size) {
      let isEnd = position == count
      guard isEnd || bytes.extracting(position..<position + Page.size).isAllZero else {
        continue
      }
      if start < position {
        try memory.write(
          block: 0, at: offset + UInt64(start), bytes.extracting(start..<position))
      }
      start = position + Page.size
    }
  }
}
