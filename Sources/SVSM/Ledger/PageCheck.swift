internal import Cryptography
package import Errors

/// A batch of pages whose content is compared with what was last exported of them.
///
/// `SourceSVSM` begins a check, any one thread then compares the pages, and the SVSM finishes the
/// checks in the order in which it began them. On hardware the SVSM reads the pages itself.
package final class PageCheck: @unchecked Sendable {
  /// Largest number of pages in one check.
  package static let capacity = 64

  enum Stage { case idle, begun, compared }

  private(set) var stage = Stage.idle
  private(set) var gpa: UInt64 = 0
  private(set) var count = 0
  /// The epoch in which the check was begun.
  private(set) var epoch: UInt32 = 0
  private var expected = [UInt64](repeating: 0, count: capacity)
  private var digester: PageDigester
  /// Address of the first page that differs from what was exported.
  private(set) var stale: UInt64?

  init(digestKey: SecretBytes) throws(MigrationError) {
    digester = try PageDigester(key: digestKey)
  }

  func requireIdle() throws(MigrationError) {
    guard stage == .idle else {
      throw MigrationError(.sessionState, "pages of this check are not finished")
    }
  }

  func expect(_ digest: UInt64, ofPage index: Int) { expected[index] = digest }

  func begin(at gpa: UInt64, count: Int, epoch: UInt32) {
    (self.gpa, self.count, self.epoch, stale, stage) = (gpa, count, epoch, nil, .begun)
  }

  func finish() { stage = .idle }

  /// Compares the pages.
  /// - Parameter pages: the content, 4096 bytes for each page.
  /// - Throws: `SESSION-STATE` when no check was begun; `INTERNAL-CRYPTOGRAPHY`.
  package func compare(_ pages: Span<UInt8>) throws(MigrationError) {
    let size = PageMetadata.pageSize
    guard stage == .begun, pages.count == count * size else {
      throw MigrationError(.sessionState, "no such pages are to be compared")
    }
    for index in 0..<count {
      let digest = try digester.digest(pages.extracting(index * size..<(index + 1) * size))
      guard digest == expected[index] else {
        stale = gpa + UInt64(index * size)
        break
      }
    }
    stage = .compared
  }
}
