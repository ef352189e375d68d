public import Bytes
public import Cryptography
internal import SEVSNP

/// The source side of a migration, seen from the kernel: each method is one call of the source
/// document's KVM table (`Formats/api.md`).
///
/// It alone decides what may leave: a page is packaged only if it is validated in the page-state
/// map the SVSM itself keeps, whatever the host says of it. Keys never leave it.
/// Source: "SEV-SNP Live Migration and VMM/KVM API Implications" (AMD, 2023).
public struct SourceSVSM: ~Copyable {
  /// The payload of the session section: transport key wrapped to the destination, and proof.
  public let transferData: TransferData

  private let instance: SVSMInstance
  private let guest: TrustedGuestState
  private let keys: SessionKeys
  private var ledger: RecordLedger
  private var states: PageStateCursor
  private var finalStateIsPackaged = false

  /// Validates migration data and creates transfer data.
  ///
  /// - Parameters:
  ///   - offer: the destination's migration data.
  ///   - guest: what this SVSM holds of its guest.
  ///   - trust: roots and time to check the destination's report with.
  ///   - isMutual: whether the source proves itself too.
  ///   - random: where the transport key comes from.
  /// - Throws: what is wrong with the offer, the report or its certificates; `INSTANCE-USED`,
  ///   `INSTANCE-RESTORING` or `INSTANCE-ABORTED` when this instance is not ready.
  public init(
    instance: SVSMInstance, guest: TrustedGuestState, validating offer: MigrationData,
    trust: Trust, isMutual: Bool, random: RandomSource
  ) throws(MigrationError) {
    try instance.requireReady()
    try guest.validateForExport(features: instance.features)
    try trust.verify(
      report: offer.report, certificates: offer.certificates,
      reportData: offer.expectedReportData(), of: "offer",
      at: UInt64(MigrationData.layout.size))

    var flags: ProtocolFlags = isMutual ? .mutual : []
    if random.isSeeded || offer.flags.contains(.seeded) || instance.isSeeded {
      flags.insert(.seeded)
    }
    var transportKey = try random.bytes(32, for: "transport key")
    defer { wipe(&transportKey) }
    let offerDigest = try offer.digest()
    let info = Label.transportKey + TransferData.wrapInfo(flags: flags, offerDigest: offerDigest)
    var wrap = try HPKE.migration.sender(
      to: offer.publicKey, info: info,
      ephemeral: random.bytes(48, for: "transport key encapsulation"))
    let wrappedKey = try wrap.context.seal(transportKey, associatedData: [])
    let bound = TransferData.bound(
      flags: flags, offerDigest: offerDigest, encapsulatedKey: wrap.encapsulatedKey,
      wrappedKey: wrappedKey, sourceKey: try instance.publicKey())
    var report: [UInt8] = []
    var certificates: [UInt8] = []
    if isMutual {
      report = try instance.report(over: SHA512.hash(Label.sourceReport + bound))
      certificates = instance.offer.certificates
    }
    let transferData = try TransferData(bound: bound, report: report, certificates: certificates)
    let keys = try SessionKeys(transportKey: transportKey, transferData: transferData.encoded)

    let ledger = try RecordLedger(transferData: transferData.encoded)
    self.transferData = transferData
    self.instance = instance
    self.guest = guest
    self.keys = keys
    self.ledger = ledger
    states = PageStateCursor(guest.pageStates)
  }

  /// Tells whether the host's private/shared attributes are those the SVSM knows.
  /// - Parameter privateRanges: guest-physical ranges the host calls private, ascending, joined.
  /// - Throws: `MAP-DISAGREES`, naming the first address.
  public func validateAttributes(_ privateRanges: [Range<UInt64>]) throws(MigrationError) {
    if let gpa = guest.pageStates.firstDisagreement(with: privateRanges) {
      let state = guest.pageStates.run(at: gpa)?.state
      throw MigrationError(
        .mapDisagrees, "host and SVSM disagree about a page", section: "page states",
        expected: state.map { "\($0) as the SVSM knows it" } ?? "no page",
        got: "gpa 0x\(String(gpa, radix: 16)) the other way by the host's attributes")
    }
  }

  /// An export that packages pages of this session.
  public func makeExport() throws(MigrationError) -> PageExport { try PageExport(keys) }

  /// Begins to package pages: decides that they may leave and gives them their sequence numbers.
  ///
  /// - Parameters:
  ///   - export: packages them next. Exports are finished in the order in which they were begun.
  ///   - gpa: guest-physical address of the first page; the others follow it.
  ///   - count: pages, at most `PageExport.capacity`, all in one run of the page-state map.
  /// - Throws: `PAGE-OPERATION` when not all are validated, or one was packaged before;
  ///   `SESSION-STATE` when the export is not finished.
  public mutating func beginExport(
    _ export: PageExport, at gpa: UInt64, count: Int
  ) throws(MigrationError) {
    precondition(count > 0 && count <= PageExport.capacity)
    guard let run = states.run(at: gpa), run.state == .validated,
      run.end - gpa >= UInt64(count * PageMetadata.pageSize)
    else {
      throw MigrationError(
        .pageOperation, "page is not validated and does not leave", section: "page states",
        got: "gpa 0x\(String(gpa, radix: 16))")
    }
    var page = PageMetadata(
      sequence: ledger.lastSequence + 1, gpa: gpa, epoch: ledger.epoch, operation: .migrate,
      size: run.size, permissions: run.permissions)
    try export.begin(page, count: count)
    // Before anything is encrypted: a sequence number must never serve two plaintexts.
    for _ in 0..<count {
      try ledger.count(page, at: 0)
      page.sequence += 1
      page.gpa += UInt64(PageMetadata.pageSize)
    }
  }

  /// Takes packaged pages into the transcript: their records may be let out.
  /// - Throws: `SESSION-STATE` when the export was not packaged, or not begun first of all.
  public mutating func finishExport(_ export: PageExport) throws(MigrationError) {
    guard export.stage == .packaged, export.first?.sequence == ledger.transcribed + 1 else {
      throw MigrationError(.sessionState, "pages are not the next that were to be packaged")
    }
    try ledger.transcribe(export.transcribed)
    export.finish()
  }

  /// Closes the epoch with its token: 128 bytes.
  /// - Parameter isLast: the guest is paused and every validated page is exported.
  /// - Throws: `PAGE-STALE` when `isLast` and a validated page has not been exported.
  public mutating func closeEpoch(isLast: Bool) throws(MigrationError) -> [UInt8] {
    if isLast, ledger.presentPages != guest.pageStates.pages(in: .validated) {
      throw MigrationError(
        .pageStale, "not every validated page has been exported", section: "page states",
        expected: "\(guest.pageStates.pages(in: .validated)) pages", got: "\(ledger.presentPages)")
    }
    let token = try ledger.token(isLast: isLast)
    let bytes = token.encoded
    let record = try bytes + keys.tag(ofToken: bytes, epoch: token.epoch)
    try ledger.admit(token, record: record.span, at: 0)
    return record
  }

  /// Packages the final guest and SVSM state: vCPUs, services, the secrets page's facts and the
  /// page-state map, in this order, each a whole record.
  ///
  /// - Parameters:
  ///   - secretsPage: content of the guest's secrets page, when it has one: 4096 bytes.
  ///   - emit: takes each record.
  /// - Throws: `SECRETS-PAGE`, `SESSION-STATE`; what `emit` throws.
  public mutating func packageFinalState(
    secretsPage: [UInt8]?,
    emit: (FinalRecord, [UInt8]) throws(MigrationError) -> Void
  ) throws(MigrationError) {
    guard !finalStateIsPackaged else {
      throw MigrationError(.sessionState, "final state was packaged before")
    }
    finalStateIsPackaged = true
    var sealer = try keys.finalSealer()
    for vcpu in guest.vcpus {
      try package(.vcpu, VCPUPlaintext.encode(vcpu), &sealer, emit)
    }
    for service in guest.services {
      var next = service
      guard service.generation < .max else {
        throw MigrationError(
          .serviceSyntax, "service has migrated too often", got: service.kind.name)
      }
      next.generation += 1
      try package(.service, ServicePlaintext.encode(next), &sealer, emit)
    }
    if let gpa = guest.secretsPage {
      guard let secretsPage else {
        throw MigrationError(.secretsPage, "content of the secrets page is missing")
      }
      let facts = try SecretsPage(secretsPage).facts
      try package(.secrets, SecretsPlaintext.encode(gpa: gpa, facts: facts), &sealer, emit)
    }
    var rest = guest.pageStates.runs[...]
    repeat {
      let part = rest.prefix(FinalRecord.runsPerPart)
      rest = rest.dropFirst(part.count)
      try package(.pageStates, PageStateMap.encode(part), &sealer, emit)
    } while !rest.isEmpty
  }

  /// Commits: totals and transcript, 144 bytes. The guest must not run here afterwards.
  /// - Throws: `SESSION-STATE` when it was committed before.
  public mutating func commit() throws(MigrationError) -> [UInt8] {
    guard finalStateIsPackaged, !ledger.isCommitted else {
      throw MigrationError(
        .sessionState, "commit out of order", expected: "once, after the final state")
    }
    let commit = try ledger.commit(privatePages: ledger.presentPages)
    try ledger.admit(commit, at: 0)
    let bytes = commit.encoded
    return try bytes + keys.tag(ofCommit: bytes)
  }

  /// Signs the seal of the stream with the attested key: r and s, 48 bytes each.
  /// - Parameter message: label and fixed part of the seal.
  public func signSeal(_ message: [UInt8]) throws(MigrationError) -> [UInt8] {
    try instance.signSeal(message)
  }

  private mutating func package(
    _ kind: FinalRecord.Kind, _ plaintext: [UInt8], _ sealer: inout AEADSealer,
    _ emit: (FinalRecord, [UInt8]) throws(MigrationError) -> Void
  ) throws(MigrationError) {
    var plaintext = plaintext
    defer { wipe(&plaintext) }
    let record = FinalRecord(
      kind: kind, index: ledger.final[kind], sequence: ledger.final.total + 1,
      length: UInt32(truncatingIfNeeded: plaintext.count))
    let head = record.encoded
    let sealed = try sealer.seal(
      plaintext, nonce: AEADNonce(sequence: record.sequence), associatedData: head)
    let header = head + sealed.tag
    try ledger.admit(record, header: header.span, at: 0)
    try emit(record, header + sealed.ciphertext)
  }
}

extension FinalRecord {
  /// Runs of the page-state map in one part: 768 KiB.
  static let runsPerPart = 32768
}
