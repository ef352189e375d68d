package import Errors
internal import Wire

/// Checks that all pages of a guest were sent.
extension RAMAssembly {
  /// - Parameter offset: stream offset of the stream's end.
  /// - Throws: `RAM-MISSING` when a page of the block was not sent.
  package func requireWhole(_ block: Int, at offset: UInt64) throws(MigrationError) {
    guard let place = try firstMissing(of: block) else { return }
    let known = blocks[block]
    if try isLeftOut(block) {
      throw MigrationError(
        .ramMissing, "stream has nothing of RAM block \(known.name)", in: .ram, at: offset,
        expected:
          "\(.memory) \(known.name)=FILE, since x-ignore-shared leaves blocks to other files")
    }
    if let unreadable {
      throw MigrationError(
        .ramMissing, "stream does not hold all of RAM block \(known.name) in its readable part",
        in: .section(unreadable.name), at: unreadable.offset,
        expected: "footers or a description, which give the end of this section", got: "neither")
    }
    let pages = page.number(known.length)
    let missing = try missingPages(of: block)
    throw MigrationError(
      .ramMissing, "stream does not hold all of RAM block \(known.name)", in: .ram,
      at: offset, expected: "\(pages) pages, those on other channels given with \(.channel)",
      got: """
        \(pages - missing); the first missing one is at offset \
        \(Hex.number(place))
        """)
  }

  /// Checks all blocks except those that are left to other files.
  /// - Throws: `RAM-MISSING`.
  package func requireWhole(at offset: UInt64) throws(MigrationError) {
    for index in blocks.indices where try !isLeftOut(index) {
      try requireWhole(index, at: offset)
    }
  }

  /// Names of the blocks of which nothing came, in a stream that leaves blocks to other files
  /// (x-ignore-shared).
  /// - Throws: `IO-WRITE`, `IO-READ` for the temporary file of a page set.
  package func leftOut() throws(MigrationError) -> [SectionName] {
    var names: [SectionName] = []
    for block in blocks.indices where try isLeftOut(block) { names.append(blocks[block].name) }
    return names
  }

  private func isLeftOut(_ block: Int) throws(MigrationError) -> Bool {
    guard listForm.hasAddresses else { return false }
    return try isAbsent(block)
  }
}
