internal import Cryptography
package import Errors
internal import Wire

/// The order and the counts of a migration's records: what every party checks, with or without
/// keys.
///
/// The source admits each record it makes, the destination each whose tag is good, a verifier
/// without keys each it reads; all three hold the same rules and come to the same transcript.
/// Source: the rules of Intel TDX migration streams (sequence, epoch, one version per epoch).
package struct RecordLedger: ~Copyable {
  /// Page records' part of the transcript is digested this many bytes at once: records of 64 pages.
  private static let headsSize = 64 * PageMetadata.contentOffset

  private var transcript: SHA384
  /// What belongs to the transcript and is not digested yet.
  private var heads: [UInt8] = []
  private var tracker = PageTracker()

  /// The epoch that page records belong to now, from 1.
  package private(set) var epoch: UInt32 = 1
  /// Page records of the current epoch.
  package private(set) var counts = PageCounts()
  /// Whether the token that said "last" has come: no page may follow.
  package private(set) var pagesAreClosed = false
  /// Final records so far.
  package private(set) var final = FinalCounts()
  /// Whether the commit has come: nothing may follow.
  package private(set) var isCommitted = false

  private var sequence = Expectation<UInt64>(1)
  private var firstSequence: UInt64 = 1
  /// Page records that were counted.
  private var records: UInt64 = 0
  /// Page records in the transcript.
  private(set) var transcribed: UInt64 = 0
  private var finalSequence = Expectation<UInt64>(1)
  private var finalIndex = [Expectation<UInt32>](
    repeating: Expectation(0), count: FinalRecord.Kind.allCases.count)

  // What follows a fault, in an audit only.

  /// An epoch that may be the open one instead, where it began, and its records so far.
  private var foreign: (epoch: UInt32, first: UInt64, counts: PageCounts)?
  /// Whether a transcript has differed: those behind it do as well, and tell nothing more.
  private var transcriptIsLost = false

  /// - Parameter transferData: the payload of the session section, with which the transcript begins.
  package init(transferData: [UInt8]) throws(MigrationError) {
    var transcript = try SHA384()
    try transcript.update(transferData)
    self.transcript = transcript
    heads.reserveCapacity(Self.headsSize)
  }

  /// Private pages that are exported and not withdrawn.
  package var presentPages: UInt64 { tracker.count }

  /// Where the regions of 2 MiB begin that pages came from, ascending.
  var regions: [UInt64] { tracker.regions }

  /// Whether the page at `gpa` is exported and not withdrawn.
  package mutating func isPresent(_ gpa: UInt64) -> Bool { tracker.bits(of: gpa).isPresent }

  /// Sequence number of the last page record; 0 before the first.
  package var lastSequence: UInt64 { sequence.due &- 1 }

  /// Whether a page record may come next, changing nothing.
  /// - Parameters:
  ///   - offset: where the record begins in the stream.
  ///   - refuse: takes each rule that is broken.
  /// - Throws: `EPOCH-ORDER`, `PAGE-SEQUENCE`, `PAGE-EPOCH`, `PAGE-REPEATED`, `PAGE-OPERATION`.
  package mutating func check(
    _ page: PageMetadata, at offset: UInt64,
    refuse: MigrationError.Refusal = MigrationError.refuse
  ) throws(MigrationError) {
    if pagesAreClosed {
      try refuse(
        MigrationError(
          .epochOrder, "page record after the last epoch", at: offset, expected: "final records",
          got: "a page record"))
    }
    if page.sequence == 0 || !sequence.accepts(page.sequence) {
      try refuse(
        MigrationError(
          .pageSequence, "page record out of sequence", at: offset, expected: "\(sequence.due)",
          got: "\(page.sequence)"))
    }
    if page.epoch != epoch {
      if page.epoch != foreign?.epoch {
        try refuse(
          MigrationError(
            .pageEpoch, "page record of another epoch", at: offset + 16, expected: "\(epoch)",
            got: "\(page.epoch)"))
      }
      // What came in the open epoch says nothing of this page.
      return
    }
    let known = tracker.bits(of: page.gpa)
    if known.isCurrent {
      try refuse(
        MigrationError(
          .pageRepeated, "page comes twice in one epoch", at: offset + 8,
          expected: "an address not seen in epoch \(epoch)",
          got: "gpa 0x\(String(page.gpa, radix: 16))"))
    } else if known.isPresent != (page.operation != .migrate) {
      try refuse(
        MigrationError(
          .pageOperation,
          known.isPresent ? "page was exported before" : "page was never exported", at: offset + 20,
          expected: known.isPresent ? "migrate again or cancel" : "migrate",
          got: "\(page.operation)"))
    }
  }

  /// Admits one page record.
  /// - Parameters:
  ///   - record: metadata and tag as on the wire: the record's first 48 bytes.
  ///   - offset: where the record begins in the stream.
  ///   - refuse: takes each rule that is broken.
  /// - Throws: what `check` throws.
  package mutating func admit(
    _ page: PageMetadata, record: Span<UInt8>, at offset: UInt64,
    refuse: MigrationError.Refusal = MigrationError.refuse
  ) throws(MigrationError) {
    try count(page, at: offset, refuse: refuse)
    try transcribe(record)
  }

  /// Counts a page record that is yet to be made; `transcribe` follows, for all in order.
  /// - Throws: what `check` throws.
  mutating func count(
    _ page: PageMetadata, at offset: UInt64,
    refuse: MigrationError.Refusal = MigrationError.refuse
  ) throws(MigrationError) {
    try check(page, at: offset, refuse: refuse)
    if page.epoch == epoch {
      foreign = nil
      if counts.isEmpty { firstSequence = page.sequence }
      counts.add(page.operation)
    } else {
      follow(page)
    }
    tracker.note(page.gpa, isPresent: page.operation != .cancel)
    sequence.take(page.sequence)
    records += 1
  }

  /// Takes in a page record of another epoch: one may be wrong, with the second the epoch is that one.
  private mutating func follow(_ page: PageMetadata) {
    guard var other = foreign, other.epoch == page.epoch else {
      foreign = (page.epoch, page.sequence, PageCounts())
      foreign?.counts.add(page.operation)
      return
    }
    if other.counts.isEmpty { other.first = page.sequence }
    other.counts.add(page.operation)
    (epoch, firstSequence, counts) = (other.epoch, other.first, other.counts)
    foreign = nil
    tracker.beginRound()
  }

  /// Takes in a page record that cannot be read, but for its number. What it did is not known.
  /// - Parameter record: its first 48 bytes.
  package mutating func skip(unreadable record: Span<UInt8>, sequence number: UInt64)
    throws(MigrationError)
  {
    sequence.take(number)
    records += 1
    try transcribe(record)
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
    guard transcribed == records else {
      throw MigrationError(.sessionState, "pages are still being packaged")
    }
    try digestHeads()
    return try transcript.snapshot()
  }

  /// The token that would close the current epoch now.
  /// - Throws: `SESSION-STATE` while a counted page record is not made yet.
  package mutating func token(isLast: Bool) throws(MigrationError) -> EpochToken {
    EpochToken(
      epoch: epoch, isLast: isLast, firstSequence: firstSequence, counts: counts,
      transcript: try snapshot())
  }

  /// Admits the token that closes the current epoch.
  /// - Parameters:
  ///   - record: the whole token as on the wire, 128 bytes.
  ///   - refuse: takes each rule that is broken.
  /// - Throws: `EPOCH-ORDER`, `EPOCH-COUNT`, `EPOCH-TRANSCRIPT`.
  package mutating func admit(
    _ token: EpochToken, record: Span<UInt8>, at offset: UInt64,
    refuse: MigrationError.Refusal = MigrationError.refuse
  ) throws(MigrationError) {
    if pagesAreClosed {
      try refuse(
        MigrationError(
          .epochOrder, "epoch token after the last one", at: offset, expected: "final records",
          got: "token of epoch \(token.epoch)"))
    } else if token.epoch != epoch, token.epoch != foreign?.epoch {
      try refuse(
        MigrationError(
          .epochOrder, "epoch token out of order", at: offset, expected: "\(epoch)",
          got: "\(token.epoch)"))
    } else {
      adopt(token)
      try compare(token, at: offset, refuse)
    }
    if token.transcript != (try snapshot()), !transcriptIsLost {
      try refuse(
        Self.difference(
          .epochTranscript, "epoch token's transcript differs from the stream", at: offset + 48,
          token.transcript, try snapshot()))
      transcriptIsLost = true
    }
    if !token.isLast, token.epoch == .max {
      try refuse(
        MigrationError(
          .epochOrder, "too many epochs", at: offset, expected: "the last one",
          got: "epoch \(token.epoch)"))
    }
    try transcript.update(record)
    sequence.allow(token.firstSequence &+ (token.counts.total ?? 0))
    if token.isLast { pagesAreClosed = true } else { close(token) }
  }

  /// The epoch of a page record before it that stood alone.
  private mutating func adopt(_ token: EpochToken) {
    guard let other = foreign, other.epoch == token.epoch else { return }
    (epoch, firstSequence, counts) = (other.epoch, other.first, other.counts)
  }

  private func compare(
    _ token: EpochToken, at offset: UInt64, _ refuse: MigrationError.Refusal
  ) throws(MigrationError) {
    let isFirst =
      token.firstSequence == firstSequence
      || counts.isEmpty && sequence.accepts(token.firstSequence)
    if token.counts != counts || !isFirst {
      try refuse(
        MigrationError(
          .epochCount, "epoch token's counts differ from the records", at: offset + 8,
          expected: "\(token.counts) from \(token.firstSequence)",
          got: "\(counts) from \(firstSequence)"))
    }
  }

  private mutating func close(_ token: EpochToken) {
    let wasOpen = token.epoch == epoch
    epoch &+= 1
    firstSequence = sequence.due
    counts = PageCounts()
    foreign = wasOpen ? nil : (token.epoch &+ 1, firstSequence, counts)
    tracker.beginRound()
  }

  private static func difference(
    _ code: ErrorCode, _ what: String, at offset: UInt64, _ claimed: [UInt8], _ found: [UInt8]
  ) -> MigrationError {
    MigrationError(
      code, what, at: offset, expected: "\(Hex.encode(claimed.prefix(8)))…",
      got: "\(Hex.encode(found.prefix(8)))…")
  }

  /// Admits one final record.
  /// - Parameters:
  ///   - header: its fixed part as on the wire, tag included: 40 bytes.
  ///   - refuse: takes each rule that is broken.
  /// - Throws: `FINAL-ORDER`.
  package mutating func admit(
    _ record: FinalRecord, header: Span<UInt8>, at offset: UInt64,
    refuse: MigrationError.Refusal = MigrationError.refuse
  ) throws(MigrationError) {
    let kind = Int(record.kind.rawValue) - 1
    if !pagesAreClosed || isCommitted {
      try refuse(
        MigrationError(
          .finalOrder,
          isCommitted ? "final record after the commit" : "final record before the last epoch",
          at: offset, expected: isCommitted ? "the end" : "the last epoch token",
          got: "\(record.kind) \(record.index)"))
      // One record too early is enough to say.
      pagesAreClosed = true
    } else if !finalSequence.accepts(record.sequence) {
      try refuse(
        MigrationError(
          .finalOrder, "final record out of sequence", at: offset + 8,
          expected: "\(finalSequence.due)", got: "\(record.sequence)"))
    } else if !finalIndex[kind].accepts(record.index) {
      try refuse(
        MigrationError(
          .finalOrder, "final record has another index", at: offset + 4,
          expected: "\(finalIndex[kind].due)", got: "\(record.index)"))
    }
    finalSequence.take(record.sequence)
    finalIndex[kind].take(record.index)
    final.add(record.kind)
    try transcript.update(header)
  }

  /// The commit that would end the migration now.
  package mutating func commit(privatePages: UInt64) throws(MigrationError) -> CommitRecord {
    CommitRecord(
      epochs: epoch, pageRecords: records, privatePages: privatePages, final: final,
      transcript: try snapshot())
  }

  /// Admits the commit.
  /// - Parameter refuse: takes each rule that is broken.
  /// - Throws: `FINAL-ORDER`, `COMMIT-TOTALS`, `COMMIT-TRANSCRIPT`, `VCPU-COUNT`, `SECTION-LENGTH`.
  package mutating func admit(
    _ commit: CommitRecord, at offset: UInt64,
    refuse: MigrationError.Refusal = MigrationError.refuse
  ) throws(MigrationError) {
    if !pagesAreClosed || isCommitted {
      try refuse(
        MigrationError(
          .finalOrder, "commit out of order", at: offset,
          expected: isCommitted ? "the end" : "the last epoch token", got: "a commit"))
    }
    let mine = try self.commit(privatePages: commit.privatePages)
    if commit.epochs != mine.epochs || commit.pageRecords != mine.pageRecords
      || commit.final != mine.final || commit.privatePages != presentPages
    {
      try refuse(
        MigrationError(
          .commitTotals, "commit's totals differ from the stream", at: offset + 4,
          expected:
            "\(commit.epochs) epochs, \(commit.pageRecords) page records, \(commit.privatePages) private pages, \(commit.final.total) final records",
          got:
            "\(mine.epochs), \(mine.pageRecords), \(presentPages), \(mine.final.total)"))
    }
    if commit.transcript != mine.transcript, !transcriptIsLost {
      try refuse(
        Self.difference(
          .commitTranscript, "commit's transcript differs from the stream", at: offset + 48,
          commit.transcript, mine.transcript))
    }
    if commit.final.vcpus == 0 {
      try refuse(
        MigrationError(
          .vcpuCount, "no vCPU came with the guest", at: offset, expected: "at least 1", got: "0"))
    }
    if commit.final.mapParts == 0 {
      try refuse(
        MigrationError(
          .sectionLength, "no page states came with the guest", at: offset,
          expected: "at least 1 part", got: "none"))
    }
    isCommitted = true
  }
}
