package import Errors
internal import Wire

/// Books that go on after a fault, for whoever wants to know all that is wrong with a stream.
///
/// They feed the strict ledger: before a record is judged the ledger is put where the records seem to be,
/// so that one fault gives one finding.
package struct LedgerRecovery: ~Copyable {
  private(set) var ledger: RecordLedger
  /// Takes each rule that is broken.
  package var refuse: MigrationError.Refusal = MigrationError.refuse

  private var sequence = Alternative<UInt64>()
  private var finalSequence = Alternative<UInt64>()
  private var finalIndex = [Alternative<UInt32>](
    repeating: Alternative(), count: FinalRecord.Kind.allCases.count)
  /// An epoch that may be the open one instead, where it began, and its records so far.
  private var foreign: (epoch: UInt32, first: UInt64, counts: PageCounts)?
  /// Whether a transcript has differed: those after it do as well, and tell nothing more.
  private var transcriptIsLost = false

  init(_ ledger: consuming RecordLedger) { self.ledger = ledger }

  mutating func isPresent(_ gpa: UInt64) -> Bool { ledger.isPresent(gpa) }

  /// Passes over a page record of which only the number can be read: what it did is not known.
  /// - Parameter head: its first 48 bytes.
  mutating func pass(over head: Span<UInt8>) throws(MigrationError) {
    var number = ByteCursor(head)
    sequence.settle(&ledger.position.sequence, on: try number.read())
    ledger.position.passPage()
    try ledger.transcript.append(pages: head)
  }

  /// Takes in a page record of another epoch: one may be wrong, with the second the epoch is that one.
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

  /// The epoch that may be the open one is.
  private mutating func adopt() {
    guard let foreign else { return }
    ledger.position.epoch = foreign.epoch
    ledger.position.firstSequence = foreign.first
    ledger.position.counts = foreign.counts
  }

  /// The transcript so far; nil once one has differed.
  private mutating func transcript() throws(MigrationError) -> [UInt8]? {
    transcriptIsLost ? nil : try ledger.transcript.snapshot()
  }
}

extension LedgerRecovery: RecordBooks {
  package var epoch: UInt32 { ledger.position.epoch }
  package var tracker: PageTracker { ledger.tracker }

  package mutating func admit(
    _ page: PageMetadata, record: Span<UInt8>, at offset: UInt64
  ) throws(MigrationError) {
    sequence.settle(&ledger.position.sequence, on: page.sequence)
    if page.epoch == epoch {
      try ledger.position.judge(page, at: offset, refuse)
      try ledger.position.judge(
        page, after: ledger.tracker.bits(of: page.gpa), at: offset, refuse)
      foreign = nil
      ledger.position.take(page)
    } else {
      var position = ledger.position
      if page.epoch == foreign?.epoch { position.epoch = page.epoch }
      // What came in the open epoch says nothing of this page.
      try position.judge(page, at: offset, refuse)
      ledger.position.passPage()
      follow(page)
    }
    ledger.tracker.note(page.gpa, isPresent: page.operation != .cancel)
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
    // One record too early is enough to say.
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

/// What may be due beside the number that is, after one that did not fit: either that number was wrong and
/// its place right, or records are missing. Both are held to be right from there on.
private struct Alternative<Number: FixedWidthInteger & UnsignedInteger> {
  private(set) var number: Number?

  /// Puts what is due where the next number says it is, if that may be.
  mutating func settle(_ due: inout Number, on next: Number) {
    if next == number { due = next }
    number = next == due ? nil : next &+ 1
  }

  /// Lets `other` be due as well.
  mutating func allow(_ other: Number, beside due: Number) {
    if other != due { number = other }
  }
}
