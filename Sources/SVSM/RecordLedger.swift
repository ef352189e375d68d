public import Bytes
internal import Cryptography

/// The order and the counts of a migration's records: what every party checks, with or without
/// keys.
///
/// The source admits each record it makes, the destination each whose tag is good, a verifier
/// without keys each it reads; all three hold the same rules and come to the same transcript.
/// Source: the rules of Intel TDX migration streams (sequence, epoch, one version per epoch).
public struct RecordLedger: ~Copyable {
  /// Page records' part of the transcript is digested this many bytes at once: records of 64 pages.
  private static let headsSize = 64 * PageMetadata.contentOffset

  private var transcript: SHA384
  /// What belongs to the transcript and is not digested yet.
  private var heads: [UInt8] = []
  private var tracker = PageTracker()

  /// Sequence number of the last page record; 0 before the first.
  public private(set) var lastSequence: UInt64 = 0
  /// The epoch that page records belong to now, from 1.
  public private(set) var epoch: UInt32 = 1
  /// Page records of the current epoch.
  public private(set) var counts = PageCounts()
  /// Whether the token that said "last" has come: no page may follow.
  public private(set) var pagesAreClosed = false
  /// Final records so far.
  public private(set) var final = FinalCounts()
  /// Whether the commit has come: nothing may follow.
  public private(set) var isCommitted = false

  private var firstSequence: UInt64 = 1
  /// Page records in the transcript.
  private(set) var transcribed: UInt64 = 0

  /// - Parameter transferData: the payload of the session section, with which the transcript begins.
  public init(transferData: [UInt8]) throws(MigrationError) {
    var transcript = try SHA384()
    try transcript.update(transferData)
    self.transcript = transcript
    heads.reserveCapacity(Self.headsSize)
  }

  /// Private pages that are exported and not withdrawn.
  public var presentPages: UInt64 { tracker.count }

  /// Whether the page at `gpa` is exported and not withdrawn.
  public mutating func isPresent(_ gpa: UInt64) -> Bool { tracker.bits(of: gpa).isPresent }

  /// Whether a page record may come next, changing nothing.
  /// - Parameter offset: where the record begins in the stream.
  /// - Throws: `EPOCH-ORDER`, `PAGE-SEQUENCE`, `PAGE-EPOCH`, `PAGE-REPEATED`, `PAGE-OPERATION`.
  public mutating func check(
    _ page: PageMetadata, at offset: UInt64
  ) throws(MigrationError) {
    guard !pagesAreClosed else {
      throw MigrationError(.epochOrder, "page record after the last epoch", at: offset)
    }
    guard lastSequence < .max, page.sequence == lastSequence + 1 else {
      throw MigrationError(
        .pageSequence, "page record out of sequence", at: offset, expected: "\(lastSequence &+ 1)",
        got: "\(page.sequence)")
    }
    guard page.epoch == epoch else {
      throw MigrationError(
        .pageEpoch, "page record of another epoch", at: offset + 16, expected: "\(epoch)",
        got: "\(page.epoch)")
    }
    let known = tracker.bits(of: page.gpa)
    guard !known.isCurrent else {
      throw MigrationError(
        .pageRepeated, "page comes twice in one epoch", at: offset + 8,
        got: "gpa 0x\(String(page.gpa, radix: 16))")
    }
    guard known.isPresent == (page.operation != .migrate) else {
      throw MigrationError(
        .pageOperation,
        known.isPresent ? "page was exported before" : "page was never exported", at: offset + 20,
        expected: known.isPresent ? "migrate again or cancel" : "migrate", got: "\(page.operation)")
    }
  }

  /// Admits one page record.
  /// - Parameters:
  ///   - record: metadata and tag as on the wire: the record's first 48 bytes.
  ///   - offset: where the record begins in the stream.
  /// - Throws: what `check` throws.
  public mutating func admit(
    _ page: PageMetadata, record: Span<UInt8>, at offset: UInt64
  ) throws(MigrationError) {
    try count(page, at: offset)
    try transcribe(record)
  }

  /// Counts a page record that is yet to be made; `transcribe` follows, for all in order.
  /// - Throws: what `check` throws.
  mutating func count(_ page: PageMetadata, at offset: UInt64) throws(MigrationError) {
    try check(page, at: offset)
    tracker.note(page.gpa, isPresent: page.operation != .cancel)
    lastSequence = page.sequence
    counts.add(page.operation)
  }

  /// Takes page records that were counted into the transcript.
  /// - Parameter records: the first 48 bytes of each.
  mutating func transcribe(_ records: Span<UInt8>) throws(MigrationError) {
    if heads.count + records.count > Self.headsSize { try digestHeads() }
    heads.append(copying: records)
    transcribed += UInt64(records.count / PageMetadata.contentOffset)
  }

  private mutating func digestHeads() throws(MigrationError) {
    if heads.isEmpty { return }
    try transcript.update(heads)
    heads.removeAll(keepingCapacity: true)
  }

  /// The transcript so far.
  /// - Throws: `SESSION-STATE` while a counted page record is not in it.
  private mutating func snapshot() throws(MigrationError) -> [UInt8] {
    guard transcribed == lastSequence else {
      throw MigrationError(.sessionState, "pages are still being packaged")
    }
    try digestHeads()
    return try transcript.snapshot()
  }

  /// The token that would close the current epoch now.
  /// - Throws: `SESSION-STATE` while a counted page record is not made yet.
  public mutating func token(isLast: Bool) throws(MigrationError) -> EpochToken {
    EpochToken(
      epoch: epoch, isLast: isLast, firstSequence: firstSequence, counts: counts,
      transcript: try snapshot())
  }

  /// Admits the token that closes the current epoch.
  /// - Parameter record: the whole token as on the wire, 128 bytes.
  /// - Throws: `EPOCH-ORDER`, `EPOCH-COUNT`, `EPOCH-TRANSCRIPT`.
  public mutating func admit(
    _ token: EpochToken, record: Span<UInt8>, at offset: UInt64
  ) throws(MigrationError) {
    guard !pagesAreClosed else {
      throw MigrationError(.epochOrder, "epoch token after the last one", at: offset)
    }
    guard token.epoch == epoch else {
      throw MigrationError(
        .epochOrder, "epoch token out of order", at: offset, expected: "\(epoch)",
        got: "\(token.epoch)")
    }
    guard token.counts == counts, token.firstSequence == firstSequence else {
      throw MigrationError(
        .epochCount, "epoch token's counts differ from the records", at: offset + 8,
        expected: "\(token.counts) from \(token.firstSequence)",
        got: "\(counts) from \(firstSequence)")
    }
    guard token.transcript == (try snapshot()) else {
      throw MigrationError(
        .epochTranscript, "epoch token's transcript differs from the stream", at: offset + 48)
    }
    guard token.isLast || token.epoch < .max else {
      throw MigrationError(.epochOrder, "too many epochs", at: offset)
    }
    try transcript.update(record)
    if token.isLast {
      pagesAreClosed = true
    } else {
      epoch += 1
      firstSequence = lastSequence + 1
      counts = PageCounts()
      tracker.beginRound()
    }
  }

  /// Admits one final record.
  /// - Parameter header: its fixed part as on the wire, tag included: 40 bytes.
  /// - Throws: `FINAL-ORDER`.
  public mutating func admit(
    _ record: FinalRecord, header: Span<UInt8>, at offset: UInt64
  ) throws(MigrationError) {
    guard pagesAreClosed, !isCommitted else {
      throw MigrationError(
        .finalOrder,
        isCommitted ? "final record after the commit" : "final record before the last epoch",
        at: offset)
    }
    guard record.sequence == final.total + 1 else {
      throw MigrationError(
        .finalOrder, "final record out of sequence", at: offset + 8,
        expected: "\(final.total + 1)", got: "\(record.sequence)")
    }
    guard record.index == final[record.kind] else {
      throw MigrationError(
        .finalOrder, "final record has another index", at: offset + 4,
        expected: "\(final[record.kind])", got: "\(record.index)")
    }
    final.add(record.kind)
    try transcript.update(header)
  }

  /// The commit that would end the migration now.
  public mutating func commit(privatePages: UInt64) throws(MigrationError) -> CommitRecord {
    CommitRecord(
      epochs: epoch, pageRecords: lastSequence, privatePages: privatePages, final: final,
      transcript: try snapshot())
  }

  /// Admits the commit.
  /// - Throws: `FINAL-ORDER`, `COMMIT-TOTALS`, `COMMIT-TRANSCRIPT`.
  public mutating func admit(
    _ commit: CommitRecord, at offset: UInt64
  ) throws(MigrationError) {
    guard pagesAreClosed, !isCommitted else {
      throw MigrationError(.finalOrder, "commit out of order", at: offset)
    }
    let mine = try self.commit(privatePages: commit.privatePages)
    guard commit.epochs == mine.epochs, commit.pageRecords == mine.pageRecords,
      commit.final == mine.final, commit.privatePages == presentPages
    else {
      throw MigrationError(
        .commitTotals, "commit's totals differ from the stream", at: offset + 4,
        expected:
          "\(commit.epochs) epochs, \(commit.pageRecords) page records, \(commit.privatePages) private pages, \(commit.final.total) final records",
        got:
          "\(mine.epochs), \(mine.pageRecords), \(presentPages), \(mine.final.total)")
    }
    guard commit.transcript == mine.transcript else {
      throw MigrationError(
        .commitTranscript, "commit's transcript differs from the stream", at: offset + 48)
    }
    isCommitted = true
  }
}
