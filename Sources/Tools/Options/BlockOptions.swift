internal import ArgumentParser
internal import Errors
internal import FileIO
internal import Guest
internal import Import
internal import QEMUStream
internal import Threads
internal import Wire

/// RAM blocks as they are, wherever they lie in guest-physical memory: `--block`, `--all-blocks`.
struct BlockOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "RAM block to write, by the name that svsm-mig-inspect shows, from its first byte to its last.",
      valueName: "name"))
  var block: String?

  @Flag(
    help: """
      Write each RAM block to a file of a folder, with blocks.json, which says what they are.
      """)
  var allBlocks = false

  var isGiven: Bool { block != nil || allBlocks }

  func validate() throws {
    guard block == nil || !allBlocks else {
      throw ValidationError("--block and --all-blocks exclude each other.")
    }
  }

  // MARK: Of a bundle or raw image

  /// - Parameter range: offsets in the block; nil for all of it.
  func export(
    _ guest: GuestReader, _ range: ByteRange?, to output: String, force: Bool, _ console: Console
  ) throws(MigrationError) {
    guard let block else {
      let folder = try BlockFolder(output, force: force)
      let size = guest.description.ramBlocks.reduce(0) { $0 + $1.size }
      let progress = console.startProgress("exporting", total: size)
      let list = try folder.copy(guest) { progress.update($0) }
      return try finish(folder, list, to: output, console)
    }
    let names = try BlockName.blocks(of: guest.description)
    let place = try BlockName.find(block, range?.offsets, among: names)
    let file = try OutputFile(output, force: force, permissions: .private)
    let export = MemoryExport.block(place.block, place.range, in: guest.memory)
    let progress = console.startProgress("exporting", total: export.memorySize)
    try export.write(to: file, isSequential: file.isDirect) { progress.update($0) }
    try finish(file, place.range, to: output, console)
  }

  // MARK: Of a stream

  func export(
    _ input: QEMUInput, _ range: ByteRange?, to output: String, force: Bool, allowIncomplete: Bool,
    _ crew: WorkCrew, _ console: Console
  ) throws(MigrationError) {
    let export = try BlockExport(input, allowsIncomplete: allowIncomplete, crew: crew)
    guard let block else {
      let folder = try BlockFolder(output, force: force)
      let progress = console.startProgress("exporting", total: input.end)
      let list = try export.writeAll(to: folder) { progress.update($0) }
      try finish(folder, list, to: output, console)
      return note(export, input, console)
    }
    let file = try OutputFile(output, force: force, permissions: .private)
    let progress = console.startProgress("exporting", total: input.end)
    let written = try export.write(block, range?.offsets, to: file) { progress.update($0) }
    try finish(file, written, to: output, console)
    note(export, input, console)
  }

  private func note(_ export: BlockExport, _ input: QEMUInput, _ console: Console) {
    console.note(padding: export.padding, rest: input.rest)
    console.note(shortfall: export.shortfall, missing: export.missing)
  }

  // MARK: The end

  private func finish(
    _ file: OutputFile, _ range: Range<UInt64>, to output: String, _ console: Console
  ) throws(MigrationError) {
    try file.commit()
    let size = Spelled.size(range.upperBound - range.lowerBound)
    console.note("exported \(size) of RAM block \(block ?? "") to \(file.name)")
    console.noteLeftovers(of: [output])
  }

  private func finish(
    _ folder: BlockFolder, _ list: BlockList, to output: String, _ console: Console
  ) throws(MigrationError) {
    try folder.finish(list)
    console.note(
      "exported \(Spelled.count(list.entries.count, "RAM block")), \(Spelled.size(list.size)), to \(output)"
    )
    console.noteLeftovers(of: [output])
  }
}

extension BlockExport {
  /// Writes one block, or a part of it, to a file that the caller commits.
  /// - Returns: the offsets in the block that were written.
  func write(
    _ block: String, _ range: Range<UInt64>?, to file: OutputFile, progress: (UInt64) -> Void
  ) throws(MigrationError) -> Range<UInt64> {
    // Pages come in any order; what is written in order has to wait for the last one.
    var waiting: TemporaryFile?
    let written = try write(
      block: block, range,
      to: { (size) throws(MigrationError) in
        guard file.isDirect else {
          try file.resize(to: size)
          return file
        }
        let made = try TemporaryFile(size: size)
        waiting = made
        return made
      }, progress: progress)
    if let waiting {
      let content = BlockFiles([.init(file: try waiting.input())])
      let size = written.upperBound - written.lowerBound
      try MemoryExport.block(0, 0..<size, in: content).write(to: file, isSequential: true)
    }
    return written
  }
}

extension ByteRange {
  /// As offsets in a block.
  fileprivate var offsets: Range<UInt64> { start..<end }
}

extension Console {
  /// Says what a stream lacks that was read all the same.
  func note(shortfall: MigrationError?, missing: [(name: SectionName, bytes: UInt64)]) {
    if let shortfall { note("not whole: \(shortfall.spelled)") }
    guard !missing.isEmpty else { return }
    let blocks = missing.map { "\($0.name) \(Spelled.count($0.bytes, "byte"))" }
    note("missing in the export: \(blocks.joined(separator: ", "))")
  }
}
