internal import Errors
internal import PageSets
internal import SEVSNP
internal import Wire

/// The records of a migration, each admitted only if it may come next. A source applies it to its
/// own records, and a destination to those of its source; both compute the same transcript.
///
/// It has no recovery: the first refused record ends the migration.
struct RecordLedger: ~Copyable {
  var position = RecordPosition()
  var tracker = PageTracker()
  var transcript: RecordTranscript

  /// - Parameter transferData: the payload of the session section; the transcript begins with it.
  init(transferData: [UInt8]) throws(MigrationError) {
    transcript = try RecordTranscript(transferData: transferData)
  }

  /// Number of private pages that are exported and not withdrawn.
  var presentPages: UInt64 { tracker.count }

  /// Whether the page at `gpa` is exported and not withdrawn.
  /// - Throws: `OUTPUT-CREATE`, `IO-WRITE`, `IO-READ` for the temporary file of the pages, as all calls about
  ///   pages.
  mutating func isPresent(_ gpa: UInt64) throws(MigrationError) -> Bool {
    try tracker.bits(of: gpa / Page.size64).isPresent
  }

  /// Counts a page record before it is made. `transcript` gets the records afterwards, in order.
  /// - Throws: `EPOCH-ORDER`, `PAGE-SEQUENCE`, `PAGE-EPOCH`, `PAGE-REPEATED`, `PAGE-OPERATION`.
  mutating func count(_ page: PageMetadata, at offset: UInt64) throws(MigrationError) {
    try position.judge(page, at: offset, refuse)
    try position.judge(page, after: tracker.bits(of: page.gpa / Page.size64), at: offset, refuse)
    position.take(page)
    try tracker.note(page.gpa / Page.size64, isPresent: page.operation != .cancel)
  }

  /// The transcript so far.
  /// - Throws: `SESSION-STATE` while a page record that was counted is not in it.
  private mutating func requireTranscript() throws(MigrationError) -> [UInt8] {
    guard transcript.pages == position.records else {
      throw MigrationError(.sessionState, "pages are still being packaged")
    }
    return try transcript.snapshot()
  }

  /// The token that would close the current epoch now.
  /// - Throws: `SESSION-STATE` while a page record that was counted is not in the transcript.
  mutating func token(isLast: Bool) throws(MigrationError) -> EpochToken {
    EpochToken(
      epoch: position.epoch, isLast: isLast, firstSequence: position.firstSequence,
      counts: position.counts, transcript: try requireTranscript())
  }

  /// The commit that would end the migration now.
  mutating func commit() throws(MigrationError) -> CommitRecord {
    CommitRecord(
      epochs: position.epoch, pageRecords: position.records, privatePages: presentPages,
      final: position.final, transcript: try requireTranscript())
  }
}

extension RecordLedger: RecordBooks {
  var refuse: MigrationError.Refusal { MigrationError.refuse }
  var epoch: UInt32 { position.epoch }

  mutating func compare(
    with states: PageStateMap, naming limit: Int, at offset: UInt64
  ) throws(MigrationError) -> UInt64 {
    try tracker.compare(with: states, naming: limit, at: offset, refuse)
  }

  mutating func admit(
    _ page: PageMetadata, record: Span<UInt8>, at offset: UInt64
  ) throws(MigrationError) {
    try count(page, at: offset)
    try transcript.append(pages: record)
  }

  mutating func admit(
    _ token: EpochToken, record: Span<UInt8>, at offset: UInt64
  ) throws(MigrationError) {
    let transcript = try requireTranscript()
    try position.judge(
      token, isFirst: token.firstSequence == position.firstSequence, transcript: transcript,
      at: offset, refuse)
    try self.transcript.append(record)
    position.take(token)
    if !token.isLast { tracker.beginRound() }
  }

  mutating func admit(
    _ record: FinalRecord, header: Span<UInt8>, at offset: UInt64
  ) throws(MigrationError) {
    try position.judge(record, at: offset, refuse)
    position.take(record)
    try transcript.append(header)
  }

  mutating func admit(_ commit: CommitRecord, at offset: UInt64) throws(MigrationError) {
    let transcript = try requireTranscript()
    try position.judge(
      commit, presentPages: presentPages, transcript: transcript, at: offset, refuse)
    position.phase = .committed
  }
}
