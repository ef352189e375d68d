internal import Cryptography
package import Errors
internal import PageSets
internal import SEVSNP
internal import Wire

/// The destination side of a migration, as the kernel sees it: each method is one call of the
/// source document's KVM table (`Formats/api.md`).
///
/// Nothing is trusted before its tag is verified, and the first refusal ends the session: every
/// later call is refused too. The restored state becomes usable only when `processCommit` returns.
/// Source: "SEV-SNP Live Migration and VMM/KVM API Implications" (AMD, 2023).
package struct DestinationSVSM: ~Copyable {
  /// What a destination accepts in addition to the default.
  package struct Options: Sendable {
    /// Whether a source may leave out its proof, the attestation report.
    package var acceptsOneWay = false
    /// Whether the session's keys may come from a seed that others know.
    package var acceptsSeeded = false
    /// Whether the stream is only rehearsed; an instance that has already served a migration may do
    /// that too.
    package var isRehearsal = false
    package init() {}
  }

  package private(set) var phase = Phase.importing
  private var judge: RecordJudge<RecordLedger>
  private var trace: SessionTrace?
  /// Makes imports that open pages of this session, each for one thread at a time.
  package let makeImport: () throws(MigrationError) -> PageImport

  /// Processes transfer data: checks the source's proof and unwraps the transport key.
  ///
  /// - Parameters:
  ///   - trust: roots, time and policy to check the source's report with.
  ///   - offset: where the transfer data begins in the stream.
  ///   - trace: observes the calls, this one included.
  /// - Throws: `SESSION-RECIPIENT`, `SESSION-ONE-WAY`, `SESSION-SEEDED`, `SESSION-KEY`,
  ///   `INSTANCE-USED`, `INSTANCE-RESTORING`, `INSTANCE-ABORTED`; what is wrong with the source's
  ///   report or certificates.
  package init(
    instance: SVSMInstance, transferData: TransferData, trust: Trust, options: Options,
    at offset: UInt64, trace: SessionTrace? = nil
  ) throws(MigrationError) {
    let before = "\(instance.stage)"
    do throws(MigrationError) {
      try self.init(
        opening: transferData, for: instance, trust: trust, options: options, at: offset)
    } catch {
      trace?.refuse(
        .processTransferData, from: before, to: before, with: error.code, in: error.place,
        at: error.offset ?? offset)
      throw error
    }
    self.trace = trace
    trace?.note(.processTransferData, from: before, to: "\(phase)", at: offset)
  }

  private init(
    opening transferData: TransferData, for instance: SVSMInstance, trust: Trust, options: Options,
    at offset: UInt64
  ) throws(MigrationError) {
    if !options.isRehearsal { try instance.requireReady(as: .destination) }
    try transferData.requireAnswer(to: instance.offer, at: offset)
    // Whether its own offer is seeded this instance knows without the source's flag.
    guard
      options.acceptsSeeded || !transferData.flags.contains(.seeded) && !instance.isSeeded
    else {
      throw MigrationError(
        .sessionSeeded, "stream was made from a seed: its keys are not secret",
        in: .session, at: TransferData.Layout.offset(of: \.flags, from: offset))
    }
    if transferData.flags.contains(.mutual) {
      try trust.verify(
        report: transferData.report, certificates: transferData.certificates,
        reportData: transferData.expectedReportData(), of: .session,
        at: offset + UInt64(TransferData.Layout.size))
    } else if !options.acceptsOneWay {
      throw MigrationError(
        .sessionOneWay, "source does not prove itself", in: .session,
        at: TransferData.Layout.offset(of: \.flags, from: offset))
    }
    guard let keys = try SessionKeys(unwrapping: transferData, for: instance) else {
      throw TransferData.unwrapError(at: offset)
    }
    judge = RecordJudge(
      try RecordLedger(transferData: transferData.encoded), try JudgeKeys(keys, of: instance))
    makeImport = { () throws(MigrationError) in try PageImport(keys, keepsContent: true) }
  }

  /// Whether a private page is held at `gpa`. The host must not write data of its own there.
  /// - Throws: `OUTPUT-CREATE`, `IO-WRITE`, `IO-READ` for the temporary file of the pages.
  package mutating func holdsPrivatePage(at gpa: UInt64) throws(MigrationError) -> Bool {
    try judge.books.isPresent(gpa)
  }

  /// The private pages that are held, as ranges of guest-physical addresses; nil when there are
  /// more than `limit` ranges.
  package mutating func privatePages(
    limit: Int
  ) throws(MigrationError) -> [Range<UInt64>]? {
    try judge.books.tracker.ranges(limit: limit)?.map {
      $0.lowerBound * Page.size64..<$0.upperBound * Page.size64
    }
  }

  /// Processes one page record that was opened, by its metadata. Afterwards its content is
  /// available from `pages`.
  ///
  /// - Parameters:
  ///   - index: number of the page in `pages`; they are processed in order.
  ///   - offset: where the record begins in the stream.
  /// - Throws: `PAGE-TAG` before anything else is judged; then what `PageMetadata` and
  ///   `RecordPosition` refuse.
  package mutating func processPage(
    _ index: Int, of pages: PageImport, at offset: UInt64
  ) throws(MigrationError) -> PageMetadata {
    do throws(MigrationError) {
      try enter()
      guard index == pages.processed, index < pages.count else {
        throw MigrationError(.internal, "page was not opened, or not in order")
      }
      let page = try judge.judge(
        page: pages.head(index), isAuthentic: pages.isAuthentic(index), stray: pages.stray(index),
        at: offset)
      guard let page else { throw MigrationError(.internal, "page record was not judged") }
      pages.markProcessed()
      leave()
      return page
    } catch {
      noteProcessed(pages, at: offset &- UInt64(index * pages.stride))
      let isDead = error.code == .sessionState
      throw refused(
        error, by: .processPages, from: isDead ? .dead : Phase(judge.books.position.phase),
        at: offset)
    }
  }

  /// Notes the pages of a batch in the trace, if there is one. To be called after the last page of
  /// the batch was processed: a call for each page would cost those who do not trace.
  /// - Parameter offset: where the first record of the batch begins in the stream.
  package func noteProcessed(_ pages: PageImport, at offset: UInt64) {
    guard let trace else { return }
    let phase = "\(Phase.importing)"
    for index in pages.traced..<max(pages.traced, pages.processed) {
      let place = offset &+ UInt64(index * pages.stride)
      var cursor = ByteCursor(pages.head(index), at: place)
      // It has been read before, and was found good.
      guard let page = try? PageMetadata(from: &cursor) else { continue }
      trace.note(
        page, by: .processPages, in: phase, at: place,
        stride: UInt64(pages.stride))
    }
    pages.traced = pages.processed
  }

  /// Processes an epoch token of 128 bytes.
  /// - Returns: the token, which has passed all checks.
  /// - Throws: `EPOCH-TAG`; then what `EpochToken` and `RecordPosition` refuse.
  @discardableResult package mutating func processEpochToken(
    _ record: Span<UInt8>, at offset: UInt64
  ) throws(MigrationError) -> EpochToken {
    let before = phase
    do throws(MigrationError) {
      try enter()
      let token = try judge.judge(token: record, at: offset)
      leave()
      trace?.note(
        token, by: .processEpochToken, from: "\(before)", to: "\(phase)", at: offset)
      return token
    } catch {
      throw refused(error, by: .processEpochToken, from: before, at: offset)
    }
  }

  /// Processes one piece of final state: fixed part and ciphertext.
  /// - Parameters:
  ///   - place: the section of the stream that holds the record, according to the VMM.
  ///   - offset: where the record begins in the stream.
  /// - Throws: `SECTION-LENGTH`, `FINAL-TAG`; then what `FinalRecord`, `RecordPosition` and the
  ///   decoder of the piece refuse, and the checks that a vCPU must pass again: `VCPU-VMPL`,
  ///   `VCPU-EFER`, `VCPU-FEATURES`.
  package mutating func processFinalState(
    _ record: Span<UInt8>, in place: FinalRecord.Place, at offset: UInt64
  ) throws(MigrationError) {
    let before = phase
    do throws(MigrationError) {
      try enter()
      let final = try judge.judge(final: record, in: place, at: offset)
      leave()
      trace?.note(
        final, by: .processFinalState, from: "\(before)", to: "\(phase)", at: offset)
    } catch {
      throw refused(error, by: .processFinalState, from: before, at: offset)
    }
  }

  /// Processes the commit of 144 bytes: the guest becomes runnable.
  /// - Throws: `COMMIT-TAG`, `COMMIT-TOTALS`, `COMMIT-TRANSCRIPT`, `VCPU-COUNT`, `SECTION-LENGTH`,
  ///   `MAP-MISSING-PAGE`, `MAP-UNEXPECTED-PAGE`, `SECRETS-PAGE`, `VCPU-VMPL`.
  package mutating func processCommit(
    _ record: Span<UInt8>, at offset: UInt64
  ) throws(MigrationError) -> RestoredState {
    let before = phase
    do throws(MigrationError) {
      try enter()
      let judged = try judge.judge(commit: record, naming: 1, at: offset)
      guard let restored = try judge.restored(by: judged) else {
        throw MigrationError(.internal, "final state was not judged")
      }
      leave()
      trace?.note(.processCommit, from: "\(before)", to: "\(phase)", at: offset)
      return restored
    } catch {
      throw refused(error, by: .processCommit, from: before, at: offset)
    }
  }

  /// Begins a call. Unless `leave` is called at its end, the session is over. The ledger judges
  /// which records may come in a phase, because nothing in a record is looked at before its tag.
  private mutating func enter() throws(MigrationError) {
    guard phase != .dead else {
      throw MigrationError(.sessionState, "session ended with its first refusal")
    }
    phase = .dead
  }

  private mutating func leave() { phase = Phase(judge.books.position.phase) }

  /// Notes the refusal of a call, which ended the session.
  private func refused(
    _ error: MigrationError, by call: TraceCall, from before: Phase, at offset: UInt64
  ) -> MigrationError {
    trace?.refuse(
      call, from: "\(before)", to: "\(phase)", with: error.code, in: error.place,
      at: error.offset ?? offset)
    return error
  }
}
