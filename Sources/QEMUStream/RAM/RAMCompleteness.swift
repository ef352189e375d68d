package import Errors
internal import Wire

/// Whether all pages of a guest have come.
extension RAMAssembly {
  /// - Parameter offset: where the stream has ended.
  /// - Throws: `RAM-MISSING` when a page of the block never came.
  package func requireWhole(_ block: Int, at offset: UInt64) throws(MigrationError) {
    guard let place = firstMissing(of: block) else { return }
    let known = blocks[block]
    if isLeftOut(block) {
      throw MigrationError(
        .ramMissing, "stream has nothing of RAM block \(known.name)", in: .ram, at: offset,
        expected:
          "\(.memory) \(known.name)=FILE, since x-ignore-shared leaves blocks to other files")
    }
    let pages = page.number(known.length)
    throw MigrationError(
      .ramMissing, "stream does not hold all of RAM block \(known.name)", in: .ram,
      at: offset, expected: "\(pages) pages, those on other channels given with \(.channel)",
      got: """
        \(pages - missingPages(of: block)); the first that never came is at offset \
        \(Hex.number(place))
        """)
  }

  /// The same of all blocks but those that are left out.
  /// - Throws: `RAM-MISSING`.
  package func requireWhole(at offset: UInt64) throws(MigrationError) {
    for index in blocks.indices where !isLeftOut(index) { try requireWhole(index, at: offset) }
  }

  /// Names of the blocks of which nothing came, in a stream that leaves blocks to other files
  /// (x-ignore-shared).
  package var leftOut: [SectionName] {
    blocks.indices.filter { isLeftOut($0) }.map { blocks[$0].name }
  }

  private func isLeftOut(_ block: Int) -> Bool { listForm.hasAddresses && isAbsent(block) }
}
