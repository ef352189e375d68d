package import Errors
internal import Wire

/// A range of guest-physical memory and the place in a RAM block that backs it.
package struct MappedRange: Sendable, Hashable {
  /// Index of the RAM block.
  package var block: Int
  /// Bytes from the start of the block.
  package var offset: UInt64
  /// Guest-physical address.
  package var gpa: UInt64
  /// Bytes.
  package var size: UInt64

  package init(block: Int, offset: UInt64, gpa: UInt64, size: UInt64) {
    self.block = block
    self.offset = offset
    self.gpa = gpa
    self.size = size
  }

  /// First guest-physical address after the range.
  package var end: UInt64 { gpa + size }
  /// Its guest-physical addresses.
  package var addresses: Range<UInt64> { gpa..<end }
  /// First offset in the block after the range.
  package var offsetEnd: UInt64 { offset + size }
}

/// Where the RAM blocks of a guest lie in guest-physical memory.
///
/// Ranges are in ascending order of address; no address and no byte of a block is mapped twice, so
/// a page has one address and one place. Parts of a block may have no address.
package struct GuestMap: Sendable, Hashable {
  /// Largest number of ranges in a map.
  package static let maximumCount = 4096

  /// In ascending order of guest-physical address.
  package let ranges: [MappedRange]
  /// The same ranges in ascending order of block and offset.
  package let rangesByPlace: [MappedRange]

  /// An empty map.
  package init() { (ranges, rangesByPlace) = ([], []) }

  /// - Parameters:
  ///   - ranges: ascending by address.
  ///   - blocks: what they lie in.
  /// - Throws: `MAP-LAYOUT` when a range is empty, not in whole pages, outside its block or the
  ///   address space, or when two overlap or are out of order.
  package init(_ ranges: [MappedRange], blocks: [RAMBlock]) throws(MigrationError) {
    try self.init(ranges, blocks: blocks) { _ in nil }
  }

  /// - Parameter place: offset in the input of a range, for errors.
  init(
    _ ranges: [MappedRange], blocks: [RAMBlock], at place: (Int) -> UInt64?
  ) throws(MigrationError) {
    guard ranges.count <= Self.maximumCount else {
      throw MigrationError(
        .guestMap, "guest map has too many ranges", expected: "at most \(Self.maximumCount)",
        got: "\(ranges.count)")
    }
    for (index, range) in ranges.enumerated() {
      try Self.check(range, blocks: blocks, at: place(index))
      if index > 0, ranges[index - 1].end > range.gpa {
        throw MigrationError(
          .guestMap, "ranges of the guest map overlap or are out of order", at: place(index),
          expected: "\(Hex.number(ranges[index - 1].end)) or above", got: Hex.number(range.gpa))
      }
    }
    let byPlace = ranges.indices.sorted {
      (ranges[$0].block, ranges[$0].offset) < (ranges[$1].block, ranges[$1].offset)
    }
    for (index, next) in zip(byPlace, byPlace.dropFirst())
    where ranges[index].block == ranges[next].block
      && ranges[index].offsetEnd > ranges[next].offset
    {
      throw MigrationError(
        .guestMap, "part of a RAM block is mapped at two addresses", at: place(next),
        got: "\(Hex.number(ranges[index].gpa)) and \(Hex.number(ranges[next].gpa))")
    }
    (self.ranges, rangesByPlace) = (ranges, byPlace.map { ranges[$0] })
  }

  /// All mapped addresses.
  package var addresses: GPARangeSet {
    var set = GPARangeSet()
    for range in ranges { set.append(GPARange(unchecked: range.gpa, range.end)) }
    return set
  }

  /// The place in a RAM block that backs `gpa`, and the number of bytes from there to the end of
  /// the mapped range; nil where no RAM is mapped.
  package func locate(_ gpa: UInt64) -> (block: Int, offset: UInt64, available: UInt64)? {
    var (low, high) = (0, ranges.count)
    while low < high {
      let middle = (low + high) / 2
      if ranges[middle].end <= gpa { low = middle + 1 } else { high = middle }
    }
    guard low < ranges.count, ranges[low].gpa <= gpa else { return nil }
    let into = gpa - ranges[low].gpa
    return (ranges[low].block, ranges[low].offset + into, ranges[low].size - into)
  }

  /// The address at which an offset of a block is mapped; nil when it is not mapped.
  package func gpa(block: Int, offset: UInt64) -> UInt64? {
    guard let index = indexByPlace(block, offset) else { return nil }
    return rangesByPlace[index].gpa + (offset - rangesByPlace[index].offset)
  }

  /// The range that maps an offset of a block; nil when it is not mapped.
  package func range(block: Int, offset: UInt64) -> MappedRange? {
    indexByPlace(block, offset).map { rangesByPlace[$0] }
  }

  private func indexByPlace(_ block: Int, _ offset: UInt64) -> Int? {
    var (low, high) = (0, rangesByPlace.count)
    while low < high {
      let middle = (low + high) / 2
      let range = rangesByPlace[middle]
      let isBefore =
        range.block < block || (range.block == block && range.offsetEnd <= offset)
      if isBefore { low = middle + 1 } else { high = middle }
    }
    guard low < rangesByPlace.count else { return nil }
    let range = rangesByPlace[low]
    return range.block == block && range.offset <= offset ? low : nil
  }

  private static func check(
    _ range: MappedRange, blocks: [RAMBlock], at place: UInt64?
  ) throws(MigrationError) {
    guard blocks.indices.contains(range.block) else {
      throw MigrationError(
        .guestMap, "guest map names a RAM block that does not exist", at: place,
        expected: "below \(blocks.count)", got: "\(range.block)")
    }
    guard range.size > 0, (range.size | range.offset | range.gpa) % Page.size64 == 0 else {
      throw MigrationError(
        .guestMap, "range of the guest map is empty or not in whole pages", at: place,
        got:
          "\(Hex.number(range.size)) bytes at \(Hex.number(range.gpa)), offset \(Hex.number(range.offset))"
      )
    }
    let size = blocks[range.block].size
    guard range.size <= size, range.offset <= size - range.size else {
      throw MigrationError(
        .guestMap, "range of the guest map extends beyond its RAM block", at: place,
        expected: "within \(Hex.number(size)) bytes",
        got: "\(Hex.number(range.size)) from \(Hex.number(range.offset))")
    }
    guard range.size <= GPARange.limit, range.gpa <= GPARange.limit - range.size else {
      throw MigrationError(
        .guestMap, "range of the guest map is beyond the address limit", at: place,
        expected: "below \(Hex.number(GPARange.limit))", got: Hex.number(range.gpa))
    }
  }
}
