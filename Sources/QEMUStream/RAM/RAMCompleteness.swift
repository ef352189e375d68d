package import Errors
internal import Wire

/// Checks that all pages of a guest were sent.
extension RAMAssembly {
  /// - Parameter offset: stream offset of the stream's end.
  /// - Throws: `RAM-MISSING` when a page of the block was not sent.
  package func requireWhole(_ block: Int, at offset: UInt64) throws(MigrationError) {
    guard let place = firstMissing(of: block) else { return }
    let known = blocks[block]
    let pages = page.number(known.length)
    throw MigrationError(
      .ramMissing, "stream does not hold all of RAM block \(known.name)", in: .ram,
      at: offset, expected: "\(pages) pages, those on other channels given with \(.channel)",
      got: """
        \(pages - missingPages(of: block)); the first missing one is at offset \
        \(Hex.number(place))
        """)
  }

  /// Checks all blocks. A block without any page is accepted if the stream leaves it to an external
  /// file (x-ignore-shared).
  /// - Throws: `RAM-MISSING`.
  package func requireWhole(at offset: UInt64) throws(MigrationError) {
    for (index, block) in blocks.enumerated() {
      let pages = page.number(block.length)
      if listForm.hasAddresses, missingPages(of: index) == pages { continue }
      try requireWhole(index, at: offset)
    }
  }
}
