package import Errors
package import FileIO
internal import Wire

/// The files in which the memory of RAM blocks lies, by index of the block.
///
/// Several threads may read at once; reading does not allocate.
package struct BlockFiles: Sendable {
  /// The place of a RAM block's memory.
  package struct Place: Sendable {
    package let file: InputFile
    /// Offset in the file at which the block begins.
    package let start: UInt64

    package init(file: InputFile, start: UInt64 = 0) { (self.file, self.start) = (file, start) }
  }

  /// Smallest hole that is skipped, in bytes: reading a smaller one costs less than asking the
  /// system where it ends.
  private static let smallestHole: UInt64 = 256 << 10

  /// Nil for a block whose memory is not read here.
  private let places: [Place?]

  package init(_ places: [Place]) { self.places = places }

  /// The memory of a guest that runs, in files of which some blocks have none.
  /// - Parameter files: one for each block, of the block's size.
  /// - Throws: `RAM-BLOCK` when private memory of the guest is in a block without a file.
  package init(live files: [InputFile?], of guest: GuestDescription) throws(MigrationError) {
    places = files.map { $0.map { Place(file: $0) } }
    for range in guest.map.ranges where places[range.block] == nil {
      let addresses = GPARangeSet([try GPARange(start: range.gpa, end: range.end)])
      guard guest.attributes.intersection(addresses).isEmpty else {
        throw MigrationError(
          .ramBlock, "private memory is in a RAM block without a file", in: .ram,
          expected: "\(Need.memory) for each of them", got: guest.ramBlocks[range.block].name)
      }
    }
  }

  /// - Throws: `INTERNAL` when there is no such block.
  func place(of block: Int) throws(MigrationError) -> Place {
    guard places.indices.contains(block), let place = places[block] else {
      throw MigrationError(.internal, "guest has no RAM block \(block)")
    }
    return place
  }

  /// Fills `buffer` with the memory of a RAM block that begins at `offset`.
  /// - Throws: `IO-READ`; `INTERNAL` when there is no such block.
  package func read(
    block: Int, at offset: UInt64, into buffer: inout MutableSpan<UInt8>
  ) throws(MigrationError) {
    let place = try place(of: block)
    try place.file.read(at: place.start + offset, into: &buffer)
  }

  /// The next range of a RAM block that begins at `offset`, at most up to `end`: either a range to
  /// be read, or a hole, which its file does not store and which is all zero.
  ///
  /// The end that is returned lies a multiple of 4096 after the start of the block, or is `end`.
  /// - Throws: `IO-READ`; `INTERNAL` when there is no such block.
  package func stretch(
    block: Int, from offset: UInt64, to end: UInt64
  ) throws(MigrationError) -> (end: UInt64, isHole: Bool) {
    let place = try place(of: block)
    let (file, limit) = (place.file, place.start + end)
    guard let data = try file.nextData(from: place.start + offset), data.lowerBound < limit else {
      return (end, true)
    }
    let first = data.lowerBound - place.start
    if first - offset >= Self.smallestHole { return (first / Page.size64 * Page.size64, true) }
    var last = data.upperBound
    while last < limit, let next = try file.nextData(from: last),
      next.lowerBound - last < Self.smallestHole
    {
      last = next.upperBound
    }
    let pages = (last - place.start + Page.size64 - 1) / Page.size64
    return (min(pages * Page.size64, end), false)
  }

  /// The next range of a block of `size` bytes, at or after `offset`, that its file stores; nil when
  /// there is none. All bytes outside such ranges are zero.
  /// - Throws: `IO-READ`; `INTERNAL` when there is no such block.
  func nextStored(
    block: Int, from offset: UInt64, size: UInt64
  ) throws(MigrationError) -> Range<UInt64>? {
    let place = try place(of: block)
    guard let found = try place.file.nextData(from: place.start + offset),
      found.lowerBound < place.start + size
    else { return nil }
    return found.lowerBound - place.start..<min(found.upperBound - place.start, size)
  }

  /// Checks that no file has become shorter since it was opened.
  /// - Throws: `IO-READ`.
  package func requireSizes() throws(MigrationError) {
    for place in places { try place?.file.requireSize() }
  }
}
