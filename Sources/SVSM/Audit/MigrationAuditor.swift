package import Errors
internal import Wire

/// The diagnosis of a stream's records: which of them follow the rules and, for the owner of the
/// keys, which of them authenticate and whether a destination would accept their content.
///
/// An auditor is not a destination: it restores nothing, does not change the stage of an instance,
/// releases no page content, and continues after a failure, which a destination never does. It is
/// no oracle either: it answers only the holder of the instance file, who could use the keys
/// directly (`Formats/decisions.md`, "An audit is no oracle").
package typealias MigrationAuditor = RecordJudge<LedgerRecovery>

extension RecordJudge where Books == LedgerRecovery {
  /// - Parameter instance: the instance whose keys are used. Without one, or when the transport key
  ///   does not unwrap, no tag is checked.
  package init(_ transferData: TransferData, for instance: SVSMInstance?) throws(MigrationError) {
    var keys: JudgeKeys?
    if let instance, let session = try SessionKeys(unwrapping: transferData, for: instance) {
      keys = try JudgeKeys(session, of: instance)
    }
    self.init(LedgerRecovery(try RecordLedger(transferData: transferData.encoded)), keys)
  }

  /// Makes imports that check page tags, each for one thread at a time; nil without keys.
  package var makeImport: (() throws(MigrationError) -> PageImport)? {
    keys?.tagChecks()
  }

  /// Number of final records that came, by kind.
  package var final: FinalCounts { books.ledger.position.final }

  /// The open epoch.
  package var epoch: UInt32 { books.epoch }

  /// The phase in which a destination would be that had refused nothing.
  package var phase: DestinationSVSM.Phase {
    DestinationSVSM.Phase(books.ledger.position.phase)
  }

  /// Whether a private page is held at `gpa`.
  package mutating func holdsPrivatePage(at gpa: UInt64) throws(MigrationError) -> Bool {
    try books.isPresent(gpa)
  }

  /// Sets the handler that is called with each rule that later records break.
  package mutating func report(to refuse: @escaping MigrationError.Refusal) {
    books.refuse = refuse
  }

  /// Judges a page record.
  /// - Parameters:
  ///   - record: the whole record, `PageMetadata.recordSize` bytes.
  ///   - index: number of the record in `pages`.
  ///   - pages: the import that has checked its tag; nil without keys.
  ///   - offset: where the record begins in the stream.
  /// - Returns: the metadata; nil when they do not tell what the record does to which page.
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
