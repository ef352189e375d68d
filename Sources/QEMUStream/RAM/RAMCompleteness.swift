package import Errors
internal import Wire

/// Whether all pages of a guest have come.
extension RAMAssembly {
  /// - Parameter offset: where the stream has ended.
  /// - Throws: `RAM-MISSING` when a page of the block never came.
  package func requireWhole(_ block: Int, at offset: UInt64) throws(MigrationError) {
    guard let place = firstMissing(of: block) else { return }
    let known = blocks[block]
    let pages = page.number(known.length)
    throw MigrationError(
      .ramMissing, "stream does not hold all of RAM block \(known.name)", in: .ram,
      at: offset, expected: "\(pages) pages, those on other channels given with \(.channel)",
      got: """
        \(pages - missingPages(of: block)); the first that never came is at offset \
        \(Hex.number(place))
        """)
  }

  /// The same of all blocks. One that is left to a file outside of the stream (x-ignore-shared) is
  /// not missed: no page of it came.
  /// - Throws: `RAM-MISSING`.
  package func requireWhole(at offset: UInt64) throws(MigrationError) {
    for (index, block) in blocks.enumerated() {
      let pages = page.number(block.length)
      if listForm.hasAddresses, missingPages(of: index) == pages { continue }
      try requireWhole(index, at: offset)
    }
  }
}
