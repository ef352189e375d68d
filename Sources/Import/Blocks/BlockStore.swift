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

  /// What is known of a file.
  private struct Content {
    /// Steps that were written.
    var written = StepSet()
    /// Those of them that are all zero now: they become holes at the end, since to make one waits for the
    /// disk.
    var zero = StepSet()
  }

  /// Bytes that are stored or are a hole together.
  private static let step: UInt64 = 4096
  /// By index of the block.
  private let parts: [Int: Part]
  private var contents: [Int: Content] = [:]

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
      let isStored = note(content.extracting(start..<end), block, at: target + UInt64(start))
      while end < content.count {
        let next = Self.end(from: end, content.count, at: target)
        let bytes = content.extracting(end..<next)
        if note(bytes, block, at: target + UInt64(end)) != isStored { break }
        end = next
      }
      if isStored {
        try part.file.write(content.extracting(start..<end), at: target + UInt64(start))
      }
      start = end
    }
  }

  /// Notes what is about to be written within one step.
  /// - Returns: whether it has to be written: zeros where nothing was written are there already.
  private func note(_ bytes: Span<UInt8>, _ block: Int, at target: UInt64) -> Bool {
    let step = target / Self.step
    let isZero = bytes.isAllZero
    if isZero, contents[block]?.written.contains(step) != true { return false }
    if isZero, bytes.count == Int(Self.step) {
      contents[block, default: Content()].zero.insert(step)
      return true
    }
    contents[block, default: Content()].written.insert(step)
    contents[block]?.zero.remove(step)
    return true
  }

  /// Makes holes of what was written and is zero. To be called after the last write.
  /// - Throws: `IO-WRITE`.
  package func finish() throws(MigrationError) {
    for (block, part) in parts {
      for run in contents[block]?.zero.runs ?? [] {
        var place = run.lowerBound * Self.step
        while place < run.upperBound * Self.step {
          let count = min(run.upperBound * Self.step - place, 1 << 30)
          try part.file.clear(at: place, count: Int(count))
          place += count
        }
      }
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

/// Numbers of steps of a file: memory follows how many are in the set, not how large they are.
private struct StepSet {
  /// 64 steps each.
  private var words: [UInt64: UInt64] = [:]

  func contains(_ step: UInt64) -> Bool { words[step / 64, default: 0] >> (step % 64) & 1 == 1 }

  mutating func insert(_ step: UInt64) { words[step / 64, default: 0] |= 1 << (step % 64) }

  mutating func remove(_ step: UInt64) {
    if words.isEmpty { return }
    words[step / 64]? &= ~(1 << (step % 64))
  }

  /// Steps that follow each other, in order.
  var runs: [Range<UInt64>] {
    var found: [Range<UInt64>] = []
    for (word, bits) in words.sorted(by: { $0.key < $1.key }) {
      for bit in 0..<UInt64(64) where bits >> bit & 1 == 1 {
        let step = word * 64 + bit
        if let last = found.last, last.upperBound == step {
          found[found.count - 1] = last.lowerBound..<step + 1
        } else {
          found.append(step..<step + 1)
        }
      }
    }
    return found
  }
}
