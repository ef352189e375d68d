package import Errors
package import FileIO
internal import QEMUStream
internal import Wire

/// Memory of RAM blocks, or of parts of them, that goes straight to files as it comes. All other memory
/// is dropped.
package final class BlockStore: RAMStore {
  /// What of a block goes to a file, from the file's first byte on.
  package struct Part {
    /// Offsets in the block.
    let range: Range<UInt64>
    let file: any PositionedFile

    package init(_ range: Range<UInt64>, to file: any PositionedFile) {
      (self.range, self.file) = (range, file)
    }

    /// What of `count` bytes at an offset of the block belongs to the part.
    fileprivate func range(of count: Int, at offset: UInt64) -> Range<UInt64> {
      let (end, overflow) = offset.addingReportingOverflow(UInt64(count))
      return range.clamped(to: offset..<(overflow ? .max : end))
    }
  }

  /// Bytes that are stored or are a hole together.
  private static let step: UInt64 = 4096
  /// By index of the block.
  private let parts: [Int: Part]

  package init(_ parts: [Int: Part]) { self.parts = parts }

  package func write(block: Int, at offset: UInt64, _ bytes: Span<UInt8>) throws(MigrationError) {
    guard let part = parts[block] else { return }
    let kept = part.range(of: bytes.count, at: offset)
    guard !kept.isEmpty else { return }
    let content = bytes.extracting(Int(kept.lowerBound - offset)..<Int(kept.upperBound - offset))
    let target = kept.lowerBound - part.range.lowerBound
    var start = 0
    while start < content.count {
      var end = Self.end(from: start, content.count, at: target)
      let isZero = content.extracting(start..<end).isAllZero
      while end < content.count {
        let next = Self.end(from: end, content.count, at: target)
        if content.extracting(end..<next).isAllZero != isZero { break }
        end = next
      }
      if isZero {
        try part.file.clear(at: target + UInt64(start), count: end - start)
      } else {
        try part.file.write(content.extracting(start..<end), at: target + UInt64(start))
      }
      start = end
    }
  }

  package func read(
    block: Int, at offset: UInt64, into buffer: inout MutableSpan<UInt8>
  ) throws(MigrationError) {
    for index in buffer.indices { buffer[index] = 0 }
    guard let part = parts[block] else { return }
    let kept = part.range(of: buffer.count, at: offset)
    guard !kept.isEmpty else { return }
    var content = buffer._mutatingExtracting(
      Int(kept.lowerBound - offset)..<Int(kept.upperBound - offset))
    try part.file.read(at: kept.lowerBound - part.range.lowerBound, into: &content)
  }

  /// Where the step ends that holds byte `start` of `count` bytes, which go to `target` of a file.
  private static func end(from start: Int, _ count: Int, at target: UInt64) -> Int {
    min(count, start + Int(step - (target + UInt64(start)) % step))
  }
}
