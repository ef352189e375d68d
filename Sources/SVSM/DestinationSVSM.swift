public import Bytes
internal import Cryptography
internal import SEVSNP

/// The destination side of a migration, seen from the kernel: each method is one call of the source
/// document's KVM table (`Formats/api.md`).
///
/// Nothing is believed before its tag is good, and the first refusal ends the session: every later
/// call is refused too. What was restored becomes usable only when `processCommit` returns.
/// Source: "SEV-SNP Live Migration and VMM/KVM API Implications" (AMD, 2023).
public struct DestinationSVSM: ~Copyable {
  /// What a destination accepts beyond the default.
  public struct Options: Sendable {
    /// The source need not prove itself.
    public var acceptsOneWay = false
    /// The session's keys may come from a seed that others know.
    public var acceptsSeeded = false
    /// The stream is only looked at: an instance that has served already may look too.
    public var isRehearsal = false
    public init() {}
  }

  private let instance: SVSMInstance
  private let keys: SessionKeys
  private var ledger: RecordLedger
  private var guest = TrustedGuestState(pageStates: PageStateMap(), vcpus: [], services: [])
  private var secrets: (gpa: UInt64, facts: SecretsPageFacts)?
  private var finalOpener: AEADOpener
  private var isDead = false

  /// Processes transfer data: checks the source's proof and unwraps the transport key.
  ///
  /// - Parameter offset: where the transfer data begins in the stream.
  /// - Throws: `SESSION-RECIPIENT`, `SESSION-ONE-WAY`, `SESSION-SEEDED`, `SESSION-KEY`,
  ///   `INSTANCE-USED`; what is wrong with the source's report or certificates.
  public init(
    instance: SVSMInstance, transferData: TransferData, trust: Trust, options: Options,
    at offset: UInt64
  ) throws(MigrationError) {
    guard options.isRehearsal || instance.stage == .ready else { throw instance.usedError }
    guard transferData.offerDigest == (try instance.offer.digest()) else {
      throw MigrationError(
        .sessionRecipient, "stream is for another destination", section: "snp-session",
        at: offset + 16, expected: "offer \(Hex.encode(try instance.offer.digest().prefix(8)))…",
        got: "\(Hex.encode(transferData.offerDigest.prefix(8)))…")
    }
    guard options.acceptsSeeded || !transferData.flags.contains(.seeded) else {
      throw MigrationError(
        .sessionSeeded, "stream was made from a seed: its keys are no secret",
        section: "snp-session", at: offset + 8)
    }
    if transferData.flags.contains(.mutual) {
      try trust.verify(
        report: transferData.report, certificates: transferData.certificates,
        reportData: transferData.expectedReportData(), of: "snp-session",
        at: offset + UInt64(TransferData.layout.size))
    } else if !options.acceptsOneWay {
      throw MigrationError(
        .sessionOneWay, "source does not prove itself", section: "snp-session", at: offset + 8)
    }
    let info =
      Label.transportKey
      + TransferData.wrapInfo(flags: transferData.flags, offerDigest: transferData.offerDigest)
    guard
      var transportKey = try instance.unwrap(
        transferData.wrappedKey, encapsulatedKey: transferData.encapsulatedKey, info: info)
    else {
      throw MigrationError(
        .sessionKey, "transport key does not unwrap", section: "snp-session", at: offset + 64)
    }
    defer { wipe(&transportKey) }
    let keys = try SessionKeys(transportKey: transportKey, transferData: transferData.encoded)
    let finalOpener = try keys.finalOpener()
    let ledger = try RecordLedger(transferData: transferData.encoded)
    self.instance = instance
    self.finalOpener = finalOpener
    self.keys = keys
    self.ledger = ledger
  }

  /// Whether a private page is held at `gpa`: the host must put nothing of its own there.
  public mutating func holdsPrivatePage(at gpa: UInt64) -> Bool { ledger.isPresent(gpa) }

  /// An import that opens pages of this session.
  public func makeImport() throws(MigrationError) -> PageImport { try PageImport(keys) }

  /// Processes one wrapped page, which was opened, by its metadata. Its content is at hand then.
  ///
  /// - Parameters:
  ///   - index: number of the page in `pages`; they are processed in order.
  ///   - offset: where the record begins in the stream.
  /// - Throws: `PAGE-TAG` before anything else is judged; then what `PageMetadata` and
  ///   `RecordLedger` refuse.
  public mutating func processPage(
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
        .sectionReserved, "a cancel carries no content", at: offset + UInt64(stray.byte))
    }
    try ledger.admit(metadata, record: head, at: offset)
    pages.markProcessed()
    leave()
    return metadata
  }

  /// Processes an epoch token of 128 bytes.
  /// - Throws: `EPOCH-TAG`; then what `EpochToken` and `RecordLedger` refuse.
  public mutating func processEpochToken(
    _ record: Span<UInt8>, at offset: UInt64
  ) throws(MigrationError) {
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
    try ledger.admit(try EpochToken(from: &cursor), record: record, at: offset)
    leave()
  }

  /// Processes one piece of final state: fixed part and ciphertext.
  /// - Throws: `FINAL-TAG`; then what the piece's own decoder and `RecordLedger` refuse, and the
  ///   checks a vCPU must pass again: `VCPU-VMPL`, `VCPU-EFER`, `VCPU-FEATURES`.
  public mutating func processFinalState(
    _ record: Span<UInt8>, at offset: UInt64
  ) throws(MigrationError) {
    try enter()
    let headSize = FinalRecord.layout.size
    guard record.count >= headSize else {
      throw MigrationError(.sectionLength, "final record is too short", at: offset)
    }
    var cursor = ByteCursor(record, at: offset)
    let header = try FinalRecord(from: &cursor)
    guard
      var plaintext = finalOpener.open(
        record.extracting(droppingFirst: headSize), nonce: AEADNonce(sequence: header.sequence),
        associatedData: record.extracting(first: FinalRecord.authenticatedSize),
        tag: record.extracting(FinalRecord.authenticatedSize..<headSize))
    else { throw MigrationError(.finalTag, "final record does not authenticate", at: offset) }
    defer { wipe(&plaintext) }
    try ledger.admit(header, header: record.extracting(first: headSize), at: offset)
    do {
      try take(header.kind, plaintext.span)
    } catch {
      // Offsets inside the plaintext mean nothing to a reader of the stream.
      var error = error
      error.offset = offset
      throw error
    }
    leave()
  }

  private mutating func take(
    _ kind: FinalRecord.Kind, _ plaintext: Span<UInt8>
  ) throws(MigrationError) {
    switch kind {
    case .vcpu:
      let vcpu = try VCPUPlaintext.decode(plaintext)
      try VMSA(vcpu.vmsa).validateForImport(
        expectedVMPL: vcpu.vmpl, expectedFeatures: instance.features)
      guard guest.vcpus.allSatisfy({ $0.apicID != vcpu.apicID }) else {
        throw MigrationError(
          .vcpuRepeated, "two vCPUs have one APIC id", got: "\(vcpu.apicID)")
      }
      guest.vcpus.append(vcpu)
    case .service:
      let service = try ServicePlaintext.decode(plaintext)
      guard service.kind.isKnown || !service.isMandatory else {
        throw MigrationError(
          .serviceUnknown, "a mandatory service is not known here", got: service.kind.name)
      }
      guard guest.services.allSatisfy({ $0.kind != service.kind }) else {
        throw MigrationError(.serviceSyntax, "a service occurs twice", got: service.kind.name)
      }
      guest.services.append(service)
    case .secrets:
      guard secrets == nil else {
        throw MigrationError(.secretsPage, "a guest has one secrets page")
      }
      secrets = try SecretsPlaintext.decode(plaintext)
    case .pageStates:
      var cursor = ByteCursor(plaintext)
      try guest.pageStates.appendRuns(from: &cursor)
    }
  }

  /// Processes the commit of 144 bytes: the guest becomes runnable.
  /// - Throws: `COMMIT-TAG`, `COMMIT-TOTALS`, `COMMIT-TRANSCRIPT`, `VCPU-COUNT`, `SECTION-LENGTH`,
  ///   `SECRETS-PAGE`, `MAP-MISSING-PAGE`, `MAP-UNEXPECTED-PAGE`.
  public mutating func processCommit(
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
    guard !guest.vcpus.isEmpty else {
      throw MigrationError(.vcpuCount, "no vCPU came with the guest", at: offset)
    }
    guard !guest.pageStates.runs.isEmpty else {
      throw MigrationError(.sectionLength, "no page states came with the guest", at: offset)
    }
    try checkPages(at: offset)
    let restored = RestoredState(guest: guest, secretsPage: try rebuiltSecretsPage(at: offset))
    leave()
    return restored
  }

  /// Every validated page must have come, and no other.
  private mutating func checkPages(at offset: UInt64) throws(MigrationError) {
    for run in guest.pageStates.runs where run.state == .validated {
      for page in 0..<run.pages where !ledger.isPresent(run.gpa + page * 4096) {
        throw MigrationError(
          .mapMissingPage, "a validated page never came", section: "page states", at: offset,
          got: "gpa 0x\(String(run.gpa + page * 4096, radix: 16))")
      }
    }
    guard ledger.presentPages == guest.pageStates.pages(in: .validated) else {
      throw MigrationError(
        .mapUnexpectedPage, "a page came that is not validated", section: "page states",
        at: offset, expected: "\(guest.pageStates.pages(in: .validated)) pages",
        got: "\(ledger.presentPages)")
    }
  }

  private func rebuiltSecretsPage(
    at offset: UInt64
  ) throws(MigrationError) -> (gpa: UInt64, page: [UInt8])? {
    guard secrets?.gpa == guest.secretsPage else {
      throw MigrationError(
        .secretsPage, "secrets page and page-state map disagree", section: "page states",
        at: offset)
    }
    guard let secrets else { return nil }
    return (secrets.gpa, try SecretsPage(facts: secrets.facts, on: instance.secretsPage()).bytes)
  }

  private mutating func enter() throws(MigrationError) {
    guard !isDead else {
      throw MigrationError(.sessionState, "session ended with its first refusal")
    }
    isDead = true
  }

  private mutating func leave() { isDead = false }
}
