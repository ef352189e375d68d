internal import Cryptography
package import Errors
internal import SEVSNP
internal import Wire

/// The destination side of a migration, seen from the kernel: each method is one call of the source
/// document's KVM table (`Formats/api.md`).
///
/// Nothing is believed before its tag is good, and the first refusal ends the session: every later
/// call is refused too. What was restored becomes usable only when `processCommit` returns.
/// Source: "SEV-SNP Live Migration and VMM/KVM API Implications" (AMD, 2023).
package struct DestinationSVSM: ~Copyable {
  /// What a destination accepts beyond the default.
  package struct Options: Sendable {
    /// The source need not prove itself.
    package var acceptsOneWay = false
    /// The session's keys may come from a seed that others know.
    package var acceptsSeeded = false
    /// The stream is only looked at: an instance that has served already may look too.
    package var isRehearsal = false
    package init() {}
  }

  private let instance: SVSMInstance
  private let keys: SessionKeys
  private var ledger: RecordLedger
  private var state: ImportedState
  private var finalOpener: AEADOpener
  private var isDead = false

  /// Processes transfer data: checks the source's proof and unwraps the transport key.
  ///
  /// - Parameters:
  ///   - trust: roots, time and policy to check the source's report with.
  ///   - offset: where the transfer data begins in the stream.
  /// - Throws: `SESSION-RECIPIENT`, `SESSION-ONE-WAY`, `SESSION-SEEDED`, `SESSION-KEY`,
  ///   `INSTANCE-USED`,
  ///   `INSTANCE-RESTORING`, `INSTANCE-ABORTED`; what is wrong with the source's report or
  ///   certificates.
  package init(
    instance: SVSMInstance, transferData: TransferData, trust: Trust, options: Options,
    at offset: UInt64
  ) throws(MigrationError) {
    if !options.isRehearsal { try instance.requireReady(as: .destination) }
    try transferData.requireAnswer(to: instance.offer, at: offset)
    // The source's word is not needed for what this instance knows of its own offer.
    guard
      options.acceptsSeeded || !transferData.flags.contains(.seeded) && !instance.isSeeded
    else {
      throw MigrationError(
        .sessionSeeded, "stream was made from a seed: its keys are no secret",
        in: .session, at: offset + 8)
    }
    if transferData.flags.contains(.mutual) {
      try trust.verify(
        report: transferData.report, certificates: transferData.certificates,
        reportData: transferData.expectedReportData(), of: .session,
        at: offset + UInt64(TransferData.layout.size))
    } else if !options.acceptsOneWay {
      throw MigrationError(
        .sessionOneWay, "source does not prove itself", in: .session, at: offset + 8)
    }
    guard let keys = try SessionKeys(unwrapping: transferData, for: instance) else {
      throw TransferData.unwrapError(at: offset)
    }
    let finalOpener = try keys.finalOpener()
    let ledger = try RecordLedger(transferData: transferData.encoded)
    self.instance = instance
    state = ImportedState(features: instance.features)
    self.finalOpener = finalOpener
    self.keys = keys
    self.ledger = ledger
  }

  /// Whether a private page is held at `gpa`: the host must put nothing of its own there.
  package mutating func holdsPrivatePage(at gpa: UInt64) -> Bool { ledger.isPresent(gpa) }

  /// An import that opens pages of this session.
  package func makeImport() throws(MigrationError) -> PageImport { try PageImport(keys) }

  /// Processes one wrapped page, which was opened, by its metadata. Its content is at hand then.
  ///
  /// - Parameters:
  ///   - index: number of the page in `pages`; they are processed in order.
  ///   - offset: where the record begins in the stream.
  /// - Throws: `PAGE-TAG` before anything else is judged; then what `PageMetadata` and
  ///   `RecordLedger` refuse.
  package mutating func processPage(
    _ index: Int, of pages: PageImport, at offset: UInt64
  ) throws(MigrationError) -> PageMetadata {
    try enter()
    switch pages.state(of: index) {
    case .good: break
    case .forged: throw MigrationError(.pageTag, "page does not authenticate", at: offset)
    case .missing: throw MigrationError(.internal, "page was not opened, or not in order")
    }
    let head = pages.head(index)
    var cursor = ByteCursor(head, at: offset)
    let metadata = try PageMetadata(from: &cursor)
    if let stray = pages.stray, stray.index == index {
      throw MigrationError(
        .sectionReserved, "a cancel carries no content", at: offset + UInt64(stray.byte),
        expected: "0", got: "\(stray.value)")
    }
    try ledger.admit(metadata, record: head, at: offset)
    pages.markProcessed()
    leave()
    return metadata
  }

  /// Processes an epoch token of 128 bytes.
  /// - Returns: the token, which is good.
  /// - Throws: `EPOCH-TAG`; then what `EpochToken` and `RecordLedger` refuse.
  @discardableResult package mutating func processEpochToken(
    _ record: Span<UInt8>, at offset: UInt64
  ) throws(MigrationError) -> EpochToken {
    try enter()
    guard record.count == EpochToken.layout.size else {
      throw MigrationError(.sectionLength, "epoch token has another length", at: offset)
    }
    let size = EpochToken.authenticatedSize
    let body = record.extracting(first: size)
    guard
      try keys.authenticates(
        token: body, epoch: ledger.epoch, tag: record.extracting(droppingFirst: size))
    else { throw MigrationError(.epochTag, "epoch token does not authenticate", at: offset) }
    var cursor = ByteCursor(body, at: offset)
    let token = try EpochToken(from: &cursor)
    try ledger.admit(token, record: record, at: offset)
    leave()
    return token
  }

  /// Processes one piece of final state: fixed part and ciphertext.
  /// - Parameters:
  ///   - place: where the stream has it, as the VMM says.
  ///   - offset: of the record in the stream.
  /// - Throws: `SECTION-LENGTH`, `FINAL-TAG`; then what `FinalRecord`, `RecordLedger` and the piece's
  ///   own decoder refuse, and the checks a vCPU must pass again: `VCPU-VMPL`, `VCPU-EFER`,
  ///   `VCPU-FEATURES`.
  package mutating func processFinalState(
    _ record: Span<UInt8>, in place: FinalRecord.Place, at offset: UInt64
  ) throws(MigrationError) {
    try enter()
    var cursor = ByteCursor(record, at: offset)
    guard try FinalRecord.size(at: cursor) == record.count else {
      throw MigrationError(.sectionLength, "final record has another length", at: offset + 16)
    }
    guard var plaintext = finalOpener.openFinal(record) else {
      throw MigrationError(.finalTag, "final record does not authenticate", at: offset)
    }
    defer { wipe(&plaintext) }
    let header = try FinalRecord(from: &cursor, in: place)
    try ledger.admit(
      header, header: record.extracting(first: FinalRecord.layout.size), at: offset)
    do {
      try state.take(header.kind, plaintext.span)
    } catch {
      // Offsets inside the plaintext mean nothing to a reader of the stream.
      var error = error
      error.offset = offset
      throw error
    }
    leave()
  }

  /// Processes the commit of 144 bytes: the guest becomes runnable.
  /// - Throws: `COMMIT-TAG`, `COMMIT-TOTALS`, `COMMIT-TRANSCRIPT`, `VCPU-COUNT`, `SECTION-LENGTH`,
  ///   `MAP-MISSING-PAGE`, `MAP-UNEXPECTED-PAGE`, `SECRETS-PAGE`, `VCPU-VMPL`.
  package mutating func processCommit(
    _ record: Span<UInt8>, at offset: UInt64
  ) throws(MigrationError) -> RestoredState {
    try enter()
    guard record.count == CommitRecord.layout.size else {
      throw MigrationError(.sectionLength, "commit has another length", at: offset)
    }
    let size = CommitRecord.authenticatedSize
    let body = record.extracting(first: size)
    guard try keys.authenticates(commit: body, tag: record.extracting(droppingFirst: size)) else {
      throw MigrationError(.commitTag, "commit does not authenticate", at: offset)
    }
    var cursor = ByteCursor(body, at: offset)
    try ledger.admit(try CommitRecord(from: &cursor), at: offset)
    try ledger.compare(with: state.guest.pageStates, naming: 1, at: offset)
    try state.requireAgreement(at: offset)
    let restored = try state.restored(on: instance)
    leave()
    return restored
  }

  private mutating func enter() throws(MigrationError) {
    guard !isDead else {
      throw MigrationError(.sessionState, "session ended with its first refusal")
    }
    isDead = true
  }

  private mutating func leave() { isDead = false }
}
