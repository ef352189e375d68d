internal import Errors
internal import PageSets
internal import Wire

/// The encrypted pages that came in a stream of an SEV or CSV guest.
final class SEVPageBooks {
  private var pages = PageSet()
  private var frames = PageSet()

  /// - Returns: whether the page has not come before.
  /// - Throws: `OUTPUT-CREATE`, `IO-WRITE`, `IO-READ` for the temporary file of a page set.
  func add(_ page: RAMPage) throws(MigrationError) -> Bool {
    try pages.insert(page.offset / Page.size64, of: page.block)
  }

  /// Enters a page by the number of its frame.
  /// - Returns: whether the page has not come before.
  /// - Throws: `OUTPUT-CREATE`, `IO-WRITE`, `IO-READ` for the temporary file of a page set.
  func add(frame: UInt64) throws(MigrationError) -> Bool { try frames.insert(frame) }
}
