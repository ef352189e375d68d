package import Errors
internal import PageSets
package import SEVSNP
internal import Wire

/// Record bookkeeping that continues after a fault, for an audit that reports everything that is
/// wrong with a stream.
///
/// It drives the strict ledger: before a record is judged, the ledger is moved to the position
/// where the records appear to be, so that one fault gives one finding.
package struct LedgerRecovery: ~Copyable {
  private(set) var ledger: RecordLedger
  /// Called with each broken rule.
  package var refuse: MigrationError.Refusal = MigrationError.refuse

  private var sequence = Alternative<UInt64>()
  private var finalSequence = Alternative<UInt64>()
  private var finalIndex = [Alternative<UInt32>](
    repeating: Alternative(), count: FinalRecord.Kind.allCases.count)
  /// A candidate for the open epoch that records have named, its first sequence number, and its
  /// page records so far.
  private var foreign: (epoch: UInt32, first: UInt64, counts: PageCounts)?
  /// Whether a transcript has differed. Every later transcript then differs too and is not
  /// compared.
  private var transcriptIsLost = false

  init(_ ledger: consuming RecordLedger) { self.ledger = ledger }

  mutating func isPresent(_ gpa: UInt64) throws(MigrationError) -> Bool {
    try ledger.isPresent(gpa)
  }

  /// Counts a page record of which only the sequence number is usable: what it does to which page
  /// is not known.
  /// - Parameter head: the first 48 bytes of the record.
  mutating func pass(over head: Span<UInt8>) throws(MigrationError) {
    var number = ByteCursor(head)
    sequence.settle(&ledger.position.sequence, on: try number.read())
    ledger.position.passPage()
    try ledger.transcript.append(pages: head)
  }

  /// Counts a page record that names another epoch. One such record may be at fault itself; if the
  /// next one names the same epoch, that epoch becomes the open one.
  private mutating func follow(_ page: PageMetadata) {
    let isSecond = foreign?.epoch == page.epoch
    var other = isSecond ? foreign : nil
    if other?.counts.isEmpty != false { other = (page.epoch, page.sequence, PageCounts()) }
    other?.counts.add(page.operation)
    foreign = other
    guard isSecond else { return }
    adopt()
    foreign = nil
    ledger.tracker.beginRound()
  }

  /// Makes the candidate epoch the open one.
  private mutating func adopt() {
    guard let foreign else { return }
    ledger.position.epoch = foreign.epoch
    ledger.position.firstSequence = foreign.first
    ledger.position.counts = foreign.counts
  }

  /// The transcript so far; nil after one has differed.
  private mutating func transcript() throws(MigrationError) -> [UInt8]? {
    transcriptIsLost ? nil : try ledger.transcript.snapshot()
  }
}

extension LedgerRecovery: RecordBooks {
  package var epoch: UInt32 { ledger.position.epoch }

  package mutating func compare(
    with states: PageStateMap, naming limit: Int, at offset: UInt64
  ) throws(MigrationError) -> UInt64 {
    try ledger.tracker.compare(with: states, naming: limit, at: offset, refuse)
  }

  package mutating func admit(
    _ page: PageMetadata, record: Span<UInt8>, at offset: UInt64
  ) throws(MigrationError) {
    sequence.settle(&ledger.position.sequence, on: page.sequence)
    if page.epoch == epoch {
      try ledger.position.judge(page, at: offset, refuse)
      try ledger.position.judge(
        page, after: ledger.tracker.bits(of: page.gpa / Page.size64), at: offset, refuse)
      foreign = nil
      ledger.position.take(page)
    } else {
      var position = ledger.position
      if page.epoch == foreign?.epoch { position.epoch = page.epoch }
      // The pages of the open epoch do not tell what this record may do, so its operation is not
      // judged.
      try position.judge(page, at: offset, refuse)
      ledger.position.passPage()
      follow(page)
    }
    try ledger.tracker.note(page.gpa / Page.size64, isPresent: page.operation != .cancel)
    try ledger.transcript.append(pages: record)
  }

  package mutating func admit(
    _ token: EpochToken, record: Span<UInt8>, at offset: UInt64
  ) throws(MigrationError) {
    if ledger.position.phase == .pages, token.epoch == foreign?.epoch { adopt() }
    let position = ledger.position
    let first = token.firstSequence
    let isFirst =
      first == position.firstSequence
      || position.counts.isEmpty && (first == position.sequence || first == sequence.number)
    let transcript = try transcript()
    try position.judge(token, isFirst: isFirst, transcript: transcript, at: offset, refuse)
    if let transcript, transcript != token.transcript { transcriptIsLost = true }
    try ledger.transcript.append(record)
    sequence.allow(first &+ (token.counts.total ?? 0), beside: position.sequence)
    ledger.position.take(token)
    guard !token.isLast else { return }
    foreign =
      token.epoch == position.epoch
      ? nil : (token.epoch &+ 1, ledger.position.firstSequence, PageCounts())
    ledger.tracker.beginRound()
  }

  package mutating func admit(
    _ record: FinalRecord, header: Span<UInt8>, at offset: UInt64
  ) throws(MigrationError) {
    finalSequence.settle(&ledger.position.finalSequence, on: record.sequence)
    finalIndex[record.kind.position]
      .settle(&ledger.position.finalIndex[record.kind], on: record.index)
    try ledger.position.judge(record, at: offset, refuse)
    // Only the first final record before the last epoch token is reported.
    if ledger.position.phase == .pages { ledger.position.phase = .final }
    ledger.position.take(record)
    try ledger.transcript.append(header)
  }

  package mutating func admit(_ commit: CommitRecord, at offset: UInt64) throws(MigrationError) {
    let transcript = try transcript()
    try ledger.position.judge(
      commit, presentPages: ledger.presentPages, transcript: transcript, at: offset, refuse)
    ledger.position.phase = .committed
  }
}

/// A second number that may be due after one that did not fit. Either that number was wrong and its
/// record in the right place, or records are missing before it. The next record may continue from
/// either.
private struct Alternative<Number: FixedWidthInteger & UnsignedInteger> {
  private(set) var number: Number?

  /// Moves `due` to the alternative if the next record has that number.
  mutating func settle(_ due: inout Number, on next: Number) {
    if next == number { due = next }
    number = next == due ? nil : next &+ 1
  }

  /// Accepts `other` as a second number that may be due.
  mutating func allow(_ other: Number, beside due: Number) {
    if other != due { number = other }
  }
}
