package import Errors
internal import FileIO
package import Guest
internal import JSON
internal import QEMUStream
internal import Wire

/// A folder with a file for each RAM block, and the list of them. It appears whole or not at all.
///
/// Files are numbered: the name of a block is never a path.
package final class BlockFolder {
  /// Name of the list.
  package static let list = "blocks.json"
  /// Name of the file with the memory of a block.
  package static func file(_ index: Int) -> String { "block-\(index).bin" }
  /// Bytes copied at once.
  private static let batchSize = 1 << 20

  private let folder: OutputFolder
  private var files: [OutputFolder.File] = []
  private var sizes: [UInt64] = []

  /// - Parameter force: whether an existing folder of this kind may be replaced.
  /// - Throws: `OUTPUT-EXISTS`, `OUTPUT-CREATE`.
  package init(_ path: String, force: Bool) throws(MigrationError) {
    folder = try OutputFolder(
      path, force: force, marker: Self.list, permissions: .private, isOurs: Self.isFileName)
  }

  /// Whether `name` is the name of a file that such a folder can have.
  private static func isFileName(_ name: String) -> Bool {
    guard name.hasPrefix("block-"), name.hasSuffix(".bin") else { return name == list }
    return UInt32(name.dropFirst(6).dropLast(4)).map { file(Int($0)) == name } ?? false
  }

  /// Makes the files, all zero. To be called once.
  /// - Parameter sizes: bytes of each block.
  /// - Returns: what fills them.
  /// - Throws: `OUTPUT-CREATE`, `IO-WRITE`.
  package func begin(_ sizes: [UInt64]) throws(MigrationError) -> BlockStore {
    var parts: [Int: BlockStore.Part] = [:]
    for (index, size) in sizes.enumerated() {
      let file = try folder.create(Self.file(index))
      try file.resize(to: size)
      files.append(file)
      parts[index] = BlockStore.Part(0..<size, to: file)
    }
    self.sizes = sizes
    return BlockStore(parts)
  }

  /// Copies all blocks of a guest.
  /// - Parameter progress: told the bytes of memory done.
  /// - Throws: `OUTPUT-CREATE`, `IO-READ`, `IO-WRITE`.
  package func copy(
    _ guest: GuestReader, progress: (UInt64) -> Void
  ) throws(MigrationError) -> BlockList {
    let blocks = guest.description.ramBlocks
    let store = try begin(blocks.map(\.size))
    let buffer = PageBuffer(count: Self.batchSize)
    var before: UInt64 = 0
    for (index, block) in blocks.enumerated() {
      var next: UInt64 = 0
      while next < block.size {
        let stretch = try guest.stretch(block: index, from: next, to: block.size)
        while !stretch.isHole, next < stretch.end {
          let count = Int(min(UInt64(Self.batchSize), stretch.end - next))
          var target = buffer.mutableSpan(0..<count)
          try guest.read(block: index, at: next, into: &target)
          try store.write(block: index, at: next, buffer.span.extracting(first: count))
          next += UInt64(count)
          progress(before + next)
        }
        next = stretch.end
      }
      before += block.size
    }
    try guest.requireSizes()
    var list = BlockList(machine: guest.description.machine)
    list.entries = try entries(named: blocks.map(\.shownName))
    list.setRanges(of: guest.description.map)
    return list
  }

  /// What the list says of each file: name, size and hash. To be called after the last write.
  /// - Throws: `IO-READ`, `INPUT-OPEN`, `CRYPTOGRAPHY`.
  package func entries(named names: [String]) throws(MigrationError) -> [BlockList.Entry] {
    var hasher = BlockHasher()
    var entries: [BlockList.Entry] = []
    for (index, name) in names.enumerated() {
      let content = BlockFiles([.init(file: try files[index].input())])
      let hash = try hasher.hash(block: 0, of: content, length: sizes[index])
      entries.append(.init(name: name, size: sizes[index], hash: hash))
    }
    return entries
  }

  /// Writes the list and gives the folder its name. To be called once.
  /// - Throws: `IO-WRITE`, `OUTPUT-CREATE`, `OUTPUT-EXISTS`.
  package func finish(_ list: BlockList) throws(MigrationError) {
    for file in files { try file.synchronize() }
    let file = try folder.create(Self.list)
    try file.write(text: String(decoding: list.json.pretty, as: UTF8.self) + "\n")
    try file.synchronize()
    try folder.commit()
  }
}

extension BlockList {
  /// Says where the blocks lie.
  mutating func setRanges(of map: GuestMap) {
    for range in map.ranges { entries[range.block].ranges.append(range) }
  }
}

extension Guest.RAMBlock {
  /// The name as tools show that of a stream's block.
  package var shownName: String { SectionName(name)?.description ?? name }
}
