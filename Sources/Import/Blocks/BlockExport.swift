package import Errors
package import FileIO
package import QEMUStream
package import Threads
internal import Wire

/// Writes RAM blocks of a plain QEMU stream of any machine to files, as the pages come: where they lie
/// in guest-physical memory need not be known.
package final class BlockExport {
  private let input: QEMUInput
  private let allowsIncomplete: Bool
  private let walk: MemoryWalk

  /// - Parameters:
  ///   - allowsIncomplete: whether pages may be missing, which are zero then.
  ///   - crew: the threads that read and write.
  /// - Throws: `IO-READ`.
  package init(
    _ input: QEMUInput, allowsIncomplete: Bool, crew: WorkCrew
  ) throws(MigrationError) {
    self.input = input
    self.allowsIncomplete = allowsIncomplete
    walk = try MemoryWalk(input, allowsIncomplete: allowsIncomplete, crew: crew)
  }

  /// Zero bytes that followed the stream; known at the end.
  package var padding: UInt64 { walk.reader.padding }
  /// Why the stream was not read to its end, where that is allowed; known at the end.
  package var shortfall: MigrationError? { walk.shortfall }
  /// Bytes that never came of what was written, by block; known at the end.
  package private(set) var missing: [(name: SectionName, bytes: UInt64)] = []

  /// Writes one block, or a part of it.
  /// - Parameters:
  ///   - name: of the block.
  ///   - range: offsets in the block; nil for all of it.
  ///   - file: makes a file of so many bytes.
  /// - Returns: the offsets in the block that were written.
  /// - Throws: `MAP-LAYOUT` when there is no such block, or it has no such offsets; `RAM-MISSING` when
  ///   a page of it never came; what `MemoryWalk.run` throws.
  package func write(
    block name: String, _ range: Range<UInt64>?,
    to file: (UInt64) throws(MigrationError) -> any PositionedFile, progress: (UInt64) -> Void
  ) throws(MigrationError) -> Range<UInt64> {
    var found: (block: Int, range: Range<UInt64>, store: BlockStore)?
    try walk.run { (reader) throws(MigrationError) in
      let blocks = reader.ram.blocks.map { BlockName($0.name, size: $0.length) }
      let place = try BlockName.find(name, range, among: blocks)
      let size = place.range.upperBound - place.range.lowerBound
      try RAMDecoder.requireMemory([size], at: reader.input.offset)
      let store = BlockStore([place.block: BlockStore.Part(place.range, to: try file(size))])
      found = (place.block, place.range, store)
      return store
    } progress: {
      progress($0)
    }
    guard let found else {
      throw MigrationError(.internal, "a stream was read without its block list")
    }
    try found.store.finish()
    if !allowsIncomplete {
      try walk.assembly.requireWhole(found.block, at: walk.reader.input.offset)
    }
    let assembly = walk.assembly
    let pages = try assembly.missingPages(of: found.block, in: found.range)
    if pages > 0 {
      let bytes = min(
        pages * UInt64(assembly.page.size), found.range.upperBound - found.range.lowerBound)
      missing = [(assembly.blocks[found.block].name, bytes)]
    }
    return found.range
  }

  /// Writes all blocks.
  /// - Throws: `RAM-MISSING` when a page never came; what `MemoryWalk.run` throws and making the files.
  package func writeAll(
    to folder: BlockFolder, progress: (UInt64) -> Void
  ) throws(MigrationError) -> BlockList {
    var clues = PlacementClues()
    var store: BlockStore?
    try walk.run { (reader) throws(MigrationError) in
      let sizes = reader.ram.blocks.map(\.length)
      try RAMDecoder.requireMemory(sizes, at: reader.input.offset)
      let made = try folder.begin(sizes)
      store = made
      return made
    } taking: { (event, reader) throws(MigrationError) in
      try clues.take(event, from: &reader)
    } progress: {
      progress($0)
    }
    try store?.finish()
    let blocks = walk.assembly.blocks
    if !allowsIncomplete {
      for block in blocks.indices {
        try walk.assembly.requireWhole(block, at: walk.reader.input.offset)
      }
    }
    missing = try walk.missing()
    if walk.shortfall != nil { clues.endEarly() }
    let machine = walk.reader.configuration?.machineText ?? ""
    var list = BlockList(machine: machine.isEmpty ? nil : machine)
    list.isRead = walk.shortfall == nil
    list.entries = try folder.entries(named: blocks.map(\.name.description))
    for block in blocks.indices {
      list.entries[block].missing = try walk.missingBytes(of: block)
    }
    if let map = clues.map(of: walk.reader) { list.setRanges(of: map) }
    return list
  }
}
