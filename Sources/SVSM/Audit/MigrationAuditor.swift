package import Errors
internal import Wire

/// The diagnosis of a stream's records: which of them are as they should be; for the key owner also which
/// authenticate, and whether what they hold would be taken in.
///
/// It is no destination: it restores nothing, advances no instance, lets no content of a page out, and
/// goes on after a failure, which a destination never does. Whoever holds the instance file could ask
/// the cipher as well; nobody else is answered (`Formats/decisions.md`, "An audit is no oracle").
package typealias MigrationAuditor = RecordJudge<LedgerRecovery>

extension RecordJudge where Books == LedgerRecovery {
  /// - Parameter instance: whose keys are used; without one, or when the transport key does not unwrap, no
  ///   tag is checked.
  package init(_ transferData: TransferData, for instance: SVSMInstance?) throws(MigrationError) {
    var keys: JudgeKeys?
    if let instance, let session = try SessionKeys(unwrapping: transferData, for: instance) {
      keys = try JudgeKeys(session, of: instance)
    }
    self.init(LedgerRecovery(try RecordLedger(transferData: transferData.encoded)), keys)
  }

  /// Makes what checks page tags, for any one thread; nil without keys.
  package var makeImport: (() throws(MigrationError) -> PageImport)? {
    keys?.tagChecks()
  }

  /// Final records that came.
  package var final: FinalCounts { books.ledger.position.final }

  /// Whether a private page is held at `gpa`.
  package mutating func holdsPrivatePage(at gpa: UInt64) -> Bool { books.isPresent(gpa) }

  /// Tells what is wrong with the records to come.
  package mutating func report(to refuse: @escaping MigrationError.Refusal) {
    books.refuse = refuse
  }

  /// Judges a page record.
  /// - Parameters:
  ///   - record: all of it: `PageMetadata.recordSize` bytes.
  ///   - index: its number in `pages`.
  ///   - pages: have checked its tag; nil without keys.
  ///   - offset: where it begins in the stream.
  /// - Returns: nil when it is not known what it does to which page.
  package mutating func judge(
    page record: Span<UInt8>, _ index: Int, of pages: PageImport?, at offset: UInt64
  ) throws(MigrationError) -> PageMetadata? {
    let head = record.extracting(first: PageMetadata.contentOffset)
    let page = try judge(
      page: head, isAuthentic: pages?.isAuthentic(index) ?? true,
      stray: PageMetadata.stray(in: record), at: offset)
    if page == nil { try books.pass(over: head) }
    return page
  }
}
