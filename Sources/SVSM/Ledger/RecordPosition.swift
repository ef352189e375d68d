internal import Errors
internal import PageSets
internal import Wire

/// The position in the order of a migration's records, which determines what may come next. The
/// rules about their order and counts are stated here and nowhere else (`Formats/stream.md`,
/// sections 4.5 and 7 to 14).
///
/// `judge` methods change nothing, and `take` methods judge nothing. A broken rule is passed to
/// `refuse`, which ends the judgement by throwing, or reports the rule and lets the rest be judged
/// too.
/// Source: the rules of Intel TDX migration streams (sequence, epoch, one version per epoch).
package struct RecordPosition {
  /// What may come next.
  package enum Phase: Sendable {
    /// Pages, and tokens of their epochs.
    case pages
    /// After the last token: final records, and the commit.
    case final
    /// After the commit: nothing.
    case committed
  }

  /// The open epoch: the one that page records belong to now. It counts from 1.
  package var epoch: UInt32 = 1
  /// Page records of the open epoch.
  package var counts = PageCounts()
  /// Sequence number of the first of them; before it came, the sequence number that is due.
  package var firstSequence: UInt64 = 1
  /// Sequence number of the next page record.
  package var sequence: UInt64 = 1
  /// Page records of all epochs.
  package var records: UInt64 = 0
  /// What may come next.
  package var phase = Phase.pages
  /// Final records so far, by kind.
  package var final = FinalCounts()
  /// Sequence number of the next final record.
  package var finalSequence: UInt64 = 1
  /// Index of the next final record of each kind.
  package var finalIndex = FinalCounts()

  package init() {}

  // MARK: Page records

  /// Judges whether a page record may come here.
  /// - Parameter offset: where it begins in the stream.
  /// - Throws: `EPOCH-ORDER`, `PAGE-SEQUENCE`, `PAGE-EPOCH`.
  func judge(
    _ page: PageMetadata, at offset: UInt64, _ refuse: MigrationError.Refusal
  ) throws(MigrationError) {
    if phase != .pages {
      try refuse(
        MigrationError(
          .epochOrder, "page record after the last epoch", at: offset, expected: "final records",
          got: "a page record"))
    }
    if page.sequence == 0 || page.sequence != sequence {
      try refuse(
        MigrationError(
          .pageSequence, "page record out of sequence", at: offset, expected: "\(sequence)",
          got: "\(page.sequence)"))
    }
    if page.epoch != epoch {
      try refuse(
        MigrationError(
          .pageEpoch, "page record of another epoch",
          at: PageMetadata.Layout.offset(of: \.metadata.epoch, from: offset), expected: "\(epoch)",
          got: "\(page.epoch)"))
    }
  }

  /// Judges whether a page record of the open epoch may do what it says.
  /// - Parameter known: the bits of its page before this record.
  /// - Throws: `PAGE-REPEATED`, `PAGE-OPERATION`.
  func judge(
    _ page: PageMetadata, after known: PageTracker.Bits, at offset: UInt64,
    _ refuse: MigrationError.Refusal
  ) throws(MigrationError) {
    if known.isCurrent {
      try refuse(
        MigrationError(
          .pageRepeated, "page is repeated within an epoch",
          at: PageMetadata.Layout.offset(of: \.metadata.gpa, from: offset),
          expected: "an address not seen in epoch \(epoch)",
          got: "gpa \(Hex.number(page.gpa))"))
    } else if known.isPresent != (page.operation != .migrate) {
      try refuse(
        MigrationError(
          .pageOperation,
          known.isPresent ? "page was exported before" : "page was never exported",
          at: PageMetadata.Layout.offset(of: \.metadata.operation, from: offset),
          expected: known.isPresent ? "migrate again or cancel" : "migrate",
          got: "\(page.operation)"))
    }
  }

  /// Counts a page record of the open epoch.
  mutating func take(_ page: PageMetadata) {
    if counts.isEmpty { firstSequence = page.sequence }
    counts.add(page.operation)
    passPage()
  }

  /// Counts a page record that is not added to the counts of the open epoch.
  package mutating func passPage() {
    sequence &+= 1
    records += 1
  }

  // MARK: Epoch tokens

  /// Judges whether a token may close the epoch here.
  /// - Parameters:
  ///   - isFirst: whether the token's first sequence number is that of the epoch.
  ///   - transcript: the transcript of all records before it; nil when it is not compared.
  /// - Throws: `EPOCH-ORDER`, `EPOCH-COUNT`, `EPOCH-TRANSCRIPT`.
  func judge(
    _ token: EpochToken, isFirst: Bool, transcript: [UInt8]?, at offset: UInt64,
    _ refuse: MigrationError.Refusal
  ) throws(MigrationError) {
    if phase != .pages {
      try refuse(
        MigrationError(
          .epochOrder, "epoch token after the last one", at: offset, expected: "final records",
          got: "token of epoch \(token.epoch)"))
    } else if token.epoch != epoch {
      try refuse(
        MigrationError(
          .epochOrder, "epoch token out of order", at: offset, expected: "\(epoch)",
          got: "\(token.epoch)"))
    } else if token.counts != counts || !isFirst {
      try refuse(
        MigrationError(
          .epochCount, "epoch token's counts differ from the records",
          at: EpochToken.Layout.offset(of: \.records, from: offset),
          expected: "\(token.counts) from \(token.firstSequence)",
          got: "\(counts) from \(firstSequence)"))
    }
    if let transcript, token.transcript != transcript {
      try refuse(
        Self.difference(
          .epochTranscript, "epoch token's transcript differs from the stream",
          at: EpochToken.Layout.offset(of: \.transcript, from: offset),
          token.transcript, transcript))
    }
    if !token.isLast, token.epoch == .max {
      try refuse(
        MigrationError(
          .epochOrder, "too many epochs", at: offset, expected: "the last one",
          got: "epoch \(token.epoch)"))
    }
  }

  /// Closes the epoch; the last token also ends the page records.
  mutating func take(_ token: EpochToken) {
    if !token.isLast { beginEpoch() } else if phase == .pages { phase = .final }
  }

  /// Begins the next epoch.
  package mutating func beginEpoch() {
    epoch &+= 1
    firstSequence = sequence
    counts = PageCounts()
  }

  private static func difference(
    _ code: ErrorCode, _ what: String, at offset: UInt64, _ claimed: [UInt8], _ found: [UInt8]
  ) -> MigrationError {
    MigrationError(
      code, what, at: offset, expected: "\(Hex.encode(claimed.prefix(8)))…",
      got: "\(Hex.encode(found.prefix(8)))…")
  }

  // MARK: Final records

  /// Judges whether a final record may come here.
  /// - Throws: `FINAL-ORDER`.
  func judge(
    _ record: FinalRecord, at offset: UInt64, _ refuse: MigrationError.Refusal
  ) throws(MigrationError) {
    if phase != .final {
      let isCommitted = phase == .committed
      try refuse(
        MigrationError(
          .finalOrder,
          isCommitted ? "final record after the commit" : "final record before the last epoch",
          at: offset, expected: isCommitted ? "the end" : "the last epoch token",
          got: "\(record.kind) \(record.index)"))
    } else if record.sequence != finalSequence {
      try refuse(
        MigrationError(
          .finalOrder, "final record out of sequence",
          at: FinalRecord.Layout.offset(of: \.sequence, from: offset),
          expected: "\(finalSequence)", got: "\(record.sequence)"))
    } else if record.index != finalIndex[record.kind] {
      try refuse(
        MigrationError(
          .finalOrder, "final record has another index",
          at: FinalRecord.Layout.offset(of: \.index, from: offset),
          expected: "\(finalIndex[record.kind])", got: "\(record.index)"))
    }
  }

  /// Counts a final record.
  mutating func take(_ record: FinalRecord) {
    finalSequence &+= 1
    finalIndex[record.kind] &+= 1
    final.add(record.kind)
  }

  // MARK: The commit

  /// Judges whether a commit may end the migration here.
  /// - Parameters:
  ///   - presentPages: number of private pages that are exported and not withdrawn.
  ///   - transcript: the transcript of all records before it; nil when it is not compared.
  /// - Throws: `FINAL-ORDER`, `COMMIT-TOTALS`, `COMMIT-TRANSCRIPT`, `VCPU-COUNT`, `SECTION-LENGTH`.
  func judge(
    _ commit: CommitRecord, presentPages: UInt64, transcript: [UInt8]?, at offset: UInt64,
    _ refuse: MigrationError.Refusal
  ) throws(MigrationError) {
    if phase != .final {
      try refuse(
        MigrationError(
          .finalOrder, "commit out of order", at: offset,
          expected: phase == .committed ? "the end" : "the last epoch token", got: "a commit"))
    }
    if commit.epochs != epoch || commit.pageRecords != records || commit.final != final
      || commit.privatePages != presentPages
    {
      try refuse(
        MigrationError(
          .commitTotals, "commit's totals differ from the stream",
          at: CommitRecord.Layout.offset(of: \.epochs, from: offset),
          expected:
            "\(commit.epochs) epochs, \(commit.pageRecords) page records, \(commit.privatePages) private pages, \(commit.final.total) final records",
          got: "\(epoch), \(records), \(presentPages), \(final.total)"))
    }
    if let transcript, commit.transcript != transcript {
      try refuse(
        Self.difference(
          .commitTranscript, "commit's transcript differs from the stream",
          at: CommitRecord.Layout.offset(of: \.transcript, from: offset),
          commit.transcript, transcript))
    }
    if commit.final[.vcpu] == 0 {
      try refuse(
        MigrationError(
          .vcpuCount, "guest has no vCPU", at: offset, expected: "at least 1", got: "0"))
    }
    if commit.final[.pageStates] == 0 {
      try refuse(
        MigrationError(
          .sectionLength, "guest has no page states", at: offset,
          expected: "at least 1 part", got: "none"))
    }
  }
}
