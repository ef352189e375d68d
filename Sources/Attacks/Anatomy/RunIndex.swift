internal import Errors
internal import FileIO
internal import Wire

/// Equal things of a stream that follow each other without a gap.
struct IndexedRun: Hashable, Sendable {
  /// Number of their kind.
  var kind: Int
  /// Number of the first one among those of its kind, from 0.
  var first: Int
  var count: Int
  /// Offset of the first one.
  var start: UInt64
  /// Bytes of what each of them begins with, such as a header.
  var head: UInt64
  /// Size of each in bytes.
  var size: UInt64

  /// Offset of the first byte after the last one.
  var end: UInt64 { start + size * UInt64(count) }

  /// The one with this number among those of its kind, as a run of one.
  func alone(_ number: Int) -> IndexedRun {
    var run = self
    (run.first, run.count) = (number, 1)
    run.start += size * UInt64(number - first)
    return run
  }
}

/// An index of runs in the order of their stream: by offset, and by number among those of some kinds.
///
/// A hostile stream consists of nothing but runs of one. Therefore the index is in blocks of a fixed size,
/// of which all but the last are in a temporary file: memory does not grow with the stream. A run takes
/// about five bytes; each block begins with what came before it, so that a search reads the heads of a few
/// blocks, and one block.
struct RunIndex: Sendable {
  private static let blockSize = 16 << 10

  /// What a block begins with.
  private struct Head {
    /// Offset of the first run of the block.
    var start: UInt64
    /// For each kind, how many of it are in earlier blocks.
    var counts: [Int]

    /// How many of some kinds are in earlier blocks.
    func count(_ kinds: Range<Int>) -> Int { counts[kinds].reduce(0, +) }

    static func size(kinds: Int) -> Int { (1 + kinds) * MemoryLayout<UInt64>.size }

    init(start: UInt64, counts: [Int]) { (self.start, self.counts) = (start, counts) }

    init(_ bytes: [UInt8], kinds: Int) {
      let words = (0...kinds).map { UInt64(bigEndianBytes: bytes[8 * $0..<8 * $0 + 8]) }
      self.init(start: words[0], counts: words.dropFirst().map { Int($0) })
    }

    var encoded: [UInt8] {
      var bytes: [UInt8] = []
      bytes.append(bigEndian: start)
      for count in counts { bytes.append(bigEndian: UInt64(count)) }
      return bytes
    }
  }

  /// How many there are of each kind.
  private let counts: [Int]
  /// All blocks but the last one; nil when there is only one.
  private let file: TemporaryFile?
  /// Number of the last block.
  private let lastNumber: Int
  private let lastBlock: [UInt8]

  /// Number of blocks.
  var blockCount: Int { lastNumber + 1 }

  /// How many there are of some kinds.
  func count(_ kinds: Range<Int>) -> Int { counts[kinds].reduce(0, +) }

  // MARK: Blocks

  private func bytes(_ block: Int, first count: Int) throws(MigrationError) -> [UInt8] {
    guard block < lastNumber, let file else { return lastBlock }
    var bytes = [UInt8](repeating: 0, count: count)
    var span = bytes.mutableSpan
    try file.read(at: UInt64(block * Self.blockSize), into: &span)
    return bytes
  }

  private func head(_ block: Int) throws(MigrationError) -> Head {
    Head(try bytes(block, first: Head.size(kinds: counts.count)), kinds: counts.count)
  }

  /// The runs of a block.
  func runs(_ block: Int) throws(MigrationError) -> [IndexedRun] {
    let bytes = try bytes(block, first: Self.blockSize)
    let head = Head(bytes, kinds: counts.count)
    var (runs, numbers, end): ([IndexedRun], [Int], UInt64) = ([], head.counts, head.start)
    var next = Head.size(kinds: counts.count)
    // A block ends where it is full, or with a zero in place of a kind.
    while next < bytes.count, bytes[next] != 0 {
      let kind = Int(bytes[next]) - 1
      next += 1
      let start = end + Self.number(in: bytes, at: &next)
      let head = Self.number(in: bytes, at: &next)
      let size = Self.number(in: bytes, at: &next)
      let run = IndexedRun(
        kind: kind, first: numbers[kind], count: Int(Self.number(in: bytes, at: &next)),
        start: start, head: head, size: size)
      numbers[kind] += run.count
      end = run.end
      runs.append(run)
    }
    return runs
  }

  /// Reads a number of seven bits in each byte, the low ones first.
  private static func number(in bytes: [UInt8], at next: inout Int) -> UInt64 {
    var (number, shift): (UInt64, UInt64) = (0, 0)
    while true {
      let byte = bytes[next]
      next += 1
      number |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return number }
      shift += 7
    }
  }

  /// The last block whose head is so; the first one always is.
  private func last(
    where isSo: (Head) -> Bool
  ) throws(MigrationError) -> (number: Int, head: Head) {
    var (low, high) = (0, blockCount)
    var found = try head(0)
    while high - low > 1 {
      let middle = (low + high) / 2
      let head = try head(middle)
      if isSo(head) { (low, found) = (middle, head) } else { high = middle }
    }
    return (low, found)
  }

  // MARK: Searching

  /// The one with this number among those of some kinds, as a run of one; nil when there is none.
  func run(_ number: Int, of kinds: Range<Int>) throws(MigrationError) -> IndexedRun? {
    guard number >= 0, number < count(kinds) else { return nil }
    let (block, head) = try last { $0.count(kinds) <= number }
    var left = number - head.count(kinds)
    for run in try runs(block) where kinds.contains(run.kind) {
      if left < run.count { return run.alone(run.first + left) }
      left -= run.count
    }
    return nil
  }

  /// The number of the block that holds the last run that begins at or before an offset.
  func block(at offset: UInt64) throws(MigrationError) -> Int {
    try last { $0.start <= offset }.number
  }

  /// How many of some kinds begin before an offset.
  func count(_ kinds: Range<Int>, before offset: UInt64) throws(MigrationError) -> Int {
    let (block, head) = try last { $0.start <= offset }
    var count = head.count(kinds)
    for run in try runs(block) where kinds.contains(run.kind) && run.start < offset {
      count += min(run.count, Int((offset - run.start + run.size - 1) / run.size))
    }
    return count
  }

  // MARK: Making

  /// Makes an index of runs that come in the order of their stream.
  struct Builder {
    private var counts: [Int]
    private var file: TemporaryFile?
    private var number = 0
    /// The last block, without the run that may still grow.
    private var block: [UInt8]
    private var end: UInt64 = 0
    private var open: IndexedRun?

    /// - Parameter kinds: number of kinds.
    init(kinds: Int) {
      counts = [Int](repeating: 0, count: kinds)
      block = Head(start: 0, counts: counts).encoded
    }

    /// Adds things that are alike. Those that continue the last run become a part of it.
    /// - Throws: `OUTPUT-CREATE`, `IO-WRITE`.
    mutating func append(
      _ kind: Int, at start: UInt64, head: UInt64, size: UInt64, count: Int = 1
    ) throws(MigrationError) {
      if let last = open {
        if last.kind == kind, last.head == head, last.size == size, last.end == start {
          open?.count += count
          return
        }
        try store(last)
      }
      open = IndexedRun(
        kind: kind, first: counts[kind], count: count, start: start, head: head, size: size)
    }

    /// The index of everything that was added.
    mutating func finish() throws(MigrationError) -> RunIndex {
      if let last = open { try store(last) }
      open = nil
      return RunIndex(counts: counts, file: file, lastNumber: number, lastBlock: block)
    }

    private mutating func store(_ run: IndexedRun) throws(MigrationError) {
      let size = block.count
      encode(run)
      if block.count > RunIndex.blockSize {
        block.removeLast(block.count - size)
        try flush(before: run)
        encode(run)
      }
      counts[run.kind] += run.count
      end = run.end
    }

    private mutating func encode(_ run: IndexedRun) {
      block.append(UInt8(run.kind + 1))
      put(run.start - end)
      put(run.head)
      put(run.size)
      put(UInt64(run.count))
    }

    /// Appends a number of seven bits in each byte, the low ones first.
    private mutating func put(_ number: UInt64) {
      var left = number
      while left >= 0x80 {
        block.append(UInt8(truncatingIfNeeded: left) | 0x80)
        left >>= 7
      }
      block.append(UInt8(left))
    }

    /// Writes the block, and begins the next one with `run`.
    private mutating func flush(before run: IndexedRun) throws(MigrationError) {
      let file: TemporaryFile
      if let known = self.file { file = known } else { file = try TemporaryFile(size: 0) }
      self.file = file
      block += [UInt8](repeating: 0, count: RunIndex.blockSize - block.count)
      try file.write(block.span, at: UInt64(number * RunIndex.blockSize))
      number += 1
      block = Head(start: run.start, counts: counts).encoded
      end = run.start
    }
  }
}
