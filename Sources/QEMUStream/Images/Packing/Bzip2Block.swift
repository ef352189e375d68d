internal import Errors
internal import Wire

/// One block of bzip2. Its content is produced piece by piece.
struct Bzip2Block {
  private static let groupSize = 50

  /// The checksum of the content, from the block.
  let checksum: UInt32
  private var found = Bzip2Checksum()
  /// For each position of the transform: the byte there and, from bit 8 on, the position that
  /// follows.
  private var chain: [UInt32] = []
  private var place = 0
  /// Number of entries of the chain that have not been followed.
  private var left = 0
  /// The last byte produced, and the length of its run.
  private var last: UInt8 = 0
  private var run = 0
  /// Number of repetitions of that byte still to be produced.
  private var repeats = 0

  /// Reads a block whose magic has been consumed.
  /// - Throws: `IMAGE-DATA`, `STREAM-TRUNCATED`; `IMAGE-FORMAT` for a randomised block, as written
  ///   by versions before 0.9.5.
  init(_ bits: inout BitReader, limit: Int) throws(MigrationError) {
    let start = bits.offset
    checksum = UInt32(try bits.read(32))
    guard try !bits.readBit() else {
      throw MigrationError(
        .imageFormat, "bzip2 with randomised blocks is not supported", at: start)
    }
    let origin = try bits.read(24)
    let symbols = try Self.symbols(&bits)
    guard !symbols.isEmpty else { throw Bzip2Reader.refused(at: start) }
    let tables = try Self.tables(&bits, symbolCount: symbols.count + 2)
    chain.reserveCapacity(limit)
    var counts = [Int](repeating: 0, count: 256)
    try Self.decode(&bits, symbols, tables, limit) { (byte, count) in
      chain.append(contentsOf: repeatElement(UInt32(byte), count: count))
      counts[Int(byte)] += count
    }
    left = chain.count
    guard origin < chain.count else { throw Bzip2Reader.refused(at: start) }
    var next = 0
    for byte in 0..<256 {
      let count = counts[byte]
      counts[byte] = next
      next += count
    }
    for index in chain.indices {
      let byte = Int(chain[index] & 0xff)
      chain[counts[byte]] |= UInt32(index) << 8
      counts[byte] += 1
    }
    place = Int(chain[origin] >> 8)
  }

  /// Whether the whole content has been produced and has the right checksum.
  var isRight: Bool { left == 0 && repeats == 0 && found.value == checksum }

  /// - Returns: number of bytes produced; 0 at the end.
  mutating func give(to output: inout MutableSpan<UInt8>) -> Int {
    var count = 0
    while count < output.count {
      if repeats > 0 {
        let run = min(repeats, output.count - count)
        var part = output._mutatingExtracting(count..<count + run)
        part.update(repeating: last)
        found.add(last, count: run)
        repeats -= run
        count += run
        continue
      }
      guard left > 0 else { break }
      let entry = chain[place]
      place = Int(entry >> 8)
      left -= 1
      let byte = UInt8(truncatingIfNeeded: entry)
      if run == 4 {
        // After four equal bytes, the next byte is the number of further repetitions.
        repeats = Int(byte)
        run = 0
        continue
      }
      run = byte == last && run > 0 ? run + 1 : 1
      last = byte
      output[count] = byte
      count += 1
      found.add(byte)
    }
    return count
  }
}

// Parsing of the parts of a block.
extension Bzip2Block {
  /// Reads the set of bytes that occur in the block.
  private static func symbols(_ bits: inout BitReader) throws(MigrationError) -> [UInt8] {
    let groups = try bits.read(16)
    var symbols: [UInt8] = []
    for group in 0..<16 where groups >> (15 - group) & 1 == 1 {
      let members = try bits.read(16)
      for member in 0..<16 where members >> (15 - member) & 1 == 1 {
        symbols.append(UInt8(16 * group + member))
      }
    }
    return symbols
  }

  /// Reads the Huffman tables, and the selectors that give the table of each group of symbols.
  private static func tables(
    _ bits: inout BitReader, symbolCount: Int
  ) throws(MigrationError) -> (tables: [HuffmanTable], selectors: [UInt8]) {
    let start = bits.offset
    let count = try bits.read(3)
    let selectorCount = try bits.read(15)
    guard 2...6 ~= count, selectorCount > 0 else { throw Bzip2Reader.refused(at: start) }
    var order = [UInt8](0..<UInt8(count))
    var selectors: [UInt8] = []
    for _ in 0..<selectorCount {
      var place = 0
      while try bits.readBit() {
        place += 1
        guard place < count else { throw Bzip2Reader.refused(at: start) }
      }
      let table = order.remove(at: place)
      order.insert(table, at: 0)
      selectors.append(table)
    }
    var tables: [HuffmanTable] = []
    for _ in 0..<count {
      var length = try bits.read(5)
      var lengths: [UInt8] = []
      for _ in 0..<symbolCount {
        while true {
          guard 1...HuffmanTable.lengthLimit ~= length else { throw Bzip2Reader.refused(at: start) }
          guard try bits.readBit() else { break }
          length += try bits.readBit() ? -1 : 1
        }
        lengths.append(UInt8(length))
      }
      tables.append(HuffmanTable(lengths))
    }
    return (tables, selectors)
  }

  /// Decodes the symbols to runs of bytes.
  private static func decode(
    _ bits: inout BitReader, _ symbols: [UInt8],
    _ codes: (tables: [HuffmanTable], selectors: [UInt8]), _ limit: Int,
    _ put: (UInt8, Int) -> Void
  ) throws(MigrationError) {
    let start = bits.offset
    var front = symbols
    var (total, run, weight) = (0, 0, 1)
    func flush() throws(MigrationError) {
      guard run <= limit - total else { throw Bzip2Reader.refused(at: start) }
      if run > 0 { put(front[0], run) }
      total += run
      (run, weight) = (0, 1)
    }
    for selector in codes.selectors {
      let table = codes.tables[Int(selector)]
      for _ in 0..<groupSize {
        guard let symbol = try table.next(&bits) else { throw Bzip2Reader.refused(at: start) }
        if symbol < 2 {
          // The symbols are digits 1 and 2 of a number in bijective base 2, the lowest digit first.
          guard weight <= limit else { throw Bzip2Reader.refused(at: start) }
          run += weight << symbol
          weight <<= 1
          continue
        }
        try flush()
        if symbol == symbols.count + 1 { return }
        front.insert(front.remove(at: symbol - 1), at: 0)
        run = 1
        try flush()
      }
    }
    throw Bzip2Reader.refused(at: start)
  }
}
