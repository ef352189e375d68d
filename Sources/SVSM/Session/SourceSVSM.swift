package import Cryptography
package import Errors
internal import SEVSNP
internal import Wire

/// The source side of a migration, as the kernel sees it: each method is one call of the source
/// document's KVM table (`Formats/api.md`).
///
/// The SVSM alone decides what may leave: a page is packaged only if it is validated in the
/// page-state map that the SVSM itself keeps, whatever the host says about it. Keys never leave the
/// SVSM. The host reports which pages have changed since they were exported; the SVSM detects when
/// a report leaves one out.
/// Source: "SEV-SNP Live Migration and VMM/KVM API Implications" (AMD, 2023).
package struct SourceSVSM: ~Copyable {
  /// The payload of the session section: the transport key wrapped to the destination, and the
  /// source's proof.
  package let transferData: TransferData

  package private(set) var phase = Phase.exporting
  private let instance: SVSMInstance
  private var guest: TrustedGuestState
  private let keys: SessionKeys
  private let freshness: Freshness
  /// Key of the page digests; nil where no page is compared with its export.
  private let digestKey: SecretBytes?
  private var digests = PageDigests()
  /// Number of validated pages below `end` that were checked in this epoch to be as they were
  /// exported.
  private var fresh: (pages: UInt64, end: UInt64) = (0, 0)
  private var ledger: RecordLedger
  private var states: PageStateCursor

  /// Validates migration data and creates transfer data.
  ///
  /// - Parameters:
  ///   - offer: the destination's migration data.
  ///   - guest: what this SVSM holds of its guest.
  ///   - trust: root certificates, time and policy to check the destination's report with. The
  ///     POLICY of its guest must also be at least as strict as that of this instance.
  ///   - isMutual: whether the source proves itself too.
  ///   - freshness: whether the guest may run while its pages are exported, and how the SVSM then
  ///     knows that the pages are exported as they are. A guest that runs may have no vCPU states
  ///     yet: `pause` brings them.
  ///   - random: the source of the transport key.
  /// - Throws: what is wrong with the offer, the report or its certificates; `INSTANCE-USED`,
  ///   `INSTANCE-RESTORING` or `INSTANCE-ABORTED` when this instance cannot save; `OFFER-USED`.
  package init(
    instance: SVSMInstance, guest: TrustedGuestState, validating offer: MigrationData,
    trust: Trust, isMutual: Bool, freshness: Freshness = .atRest, random: RandomSource
  ) throws(MigrationError) {
    try instance.requireReady(as: .source)
    try instance.requireUseful(offer)
    if freshness == .atRest || !guest.vcpus.isEmpty {
      try guest.validateForExport(features: instance.features)
    } else {
      try guest.validateMemory()
    }
    try trust.verify(
      report: offer.report, certificates: offer.certificates,
      reportData: offer.expectedReportData(), asStrictAs: instance.guestPolicy(), of: .offer,
      at: UInt64(MigrationData.Layout.size))

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
    var digestKey: SecretBytes?
    if freshness == .compared {
      digestKey = SecretBytes(try random.bytes(32, for: "page digests"))
    }
    self.transferData = transferData
    self.instance = instance
    self.guest = guest
    self.keys = keys
    self.freshness = freshness
    self.digestKey = digestKey
    self.ledger = ledger
    states = PageStateCursor(guest.pageStates)
  }

  /// Requires the phase in which a call may be made.
  /// - Parameter code: code of the refusal in any other phase.
  private func require(_ due: Phase, or code: ErrorCode = .sessionState) throws(MigrationError) {
    guard phase == due else {
      throw MigrationError(code, "call out of order", expected: "\(due)", got: "\(phase)")
    }
  }

  /// Compares the host's private/shared attributes with the page-state map of the SVSM.
  /// - Parameter privateRanges: guest-physical ranges that the host calls private, ascending and
  ///   merged.
  /// - Throws: `MAP-DISAGREES`, naming the first address; `SESSION-STATE` after the last token.
  package func validateAttributes(_ privateRanges: [Range<UInt64>]) throws(MigrationError) {
    try require(.exporting)
    if let gpa = guest.pageStates.firstDisagreement(with: privateRanges) {
      let state = guest.pageStates.run(at: gpa)?.state
      throw MigrationError(
        .mapDisagrees, "host and SVSM disagree about a page", in: .pageStates,
        expected: state.map { "\($0) as the SVSM knows it" } ?? "no page",
        got: "gpa \(Hex.number(gpa)) the other way by the host's attributes")
    }
  }

  /// Makes an export that packages pages of this session.
  package func makeExport() throws(MigrationError) -> PageExport {
    try PageExport(keys, digestKey: digestKey)
  }

  /// Begins to package pages: decides that they may leave and gives them their sequence numbers.
  ///
  /// - Parameters:
  ///   - export: the export that packages them next. Exports are finished in the order in which
  ///     they were begun.
  ///   - gpa: guest-physical address of the first page; the others follow it.
  ///   - count: number of pages, at most `PageExport.capacity`, all in one run of the page-state
  ///     map.
  /// - Throws: `PAGE-OPERATION` when not all are validated; `PAGE-REPEATED` when one was already
  ///   packaged in this epoch; `EPOCH-ORDER`; `SESSION-STATE` when the previous use of the export
  ///   is not finished.
  package mutating func beginExport(
    _ export: PageExport, at gpa: UInt64, count: Int
  ) throws(MigrationError) {
    let run = try self.run(
      at: gpa, count, validated: true, "page is not validated and cannot be exported")
    let page = PageMetadata(
      sequence: ledger.position.sequence, gpa: gpa, epoch: ledger.position.epoch,
      operation: .migrate,
      size: run.size, permissions: run.permissions)
    try begin(export, page, count: count)
  }

  /// Begins to withdraw pages that were exported and are no longer validated.
  ///
  /// - Parameters:
  ///   - export: the export that packages the records next, without content.
  ///   - gpa: guest-physical address of the first page; the others follow it.
  ///   - count: number of pages, at most `PageExport.capacity`, all in one run of the page-state
  ///     map.
  /// - Throws: `PAGE-OPERATION` when a page is validated or is not present; `PAGE-REPEATED`,
  ///   `EPOCH-ORDER`; `SESSION-STATE` when the previous use of the export is not finished.
  package mutating func beginCancel(
    _ export: PageExport, at gpa: UInt64, count: Int
  ) throws(MigrationError) {
    _ = try run(at: gpa, count, validated: false, "page is validated and is not withdrawn")
    let page = PageMetadata(
      sequence: ledger.position.sequence, gpa: gpa, epoch: ledger.position.epoch,
      operation: .cancel,
      size: .size4K, permissions: .none)
    try begin(export, page, count: count)
  }

  /// The run of the page-state map that holds all `count` pages, which must be validated or must
  /// not be.
  private mutating func run(
    at gpa: UInt64, _ count: Int, validated: Bool, _ refusal: String
  ) throws(MigrationError) -> PageRun {
    try require(.exporting, or: .epochOrder)
    precondition(count > 0 && count <= PageExport.capacity)
    guard let run = states.run(at: gpa), (run.state == .validated) == validated,
      run.end - gpa >= UInt64(count * PageMetadata.pageSize)
    else {
      throw MigrationError(
        .pageOperation, refusal, in: .pageStates, got: "gpa \(Hex.number(gpa))")
    }
    return run
  }

  private mutating func begin(
    _ export: PageExport, _ first: PageMetadata, count: Int
  ) throws(MigrationError) {
    try export.requireIdle()
    var page = first
    var again: UInt64 = 0
    let mayBeAgain = first.operation != .cancel && ledger.position.epoch > 1
    // Count the records before anything is encrypted: a sequence number must never be used for two
    // plaintexts.
    for index in 0..<count {
      if mayBeAgain {
        let isPresent = ledger.isPresent(page.gpa)
        page.operation = isPresent ? .migrateAgain : .migrate
        if isPresent { again |= 1 << UInt64(index) }
      }
      try ledger.count(page, at: 0)
      page.sequence += 1
      page.gpa += UInt64(PageMetadata.pageSize)
    }
    export.begin(first, count: count, again: again)
  }

  /// Adds packaged pages to the transcript. Afterwards their records may be released.
  /// - Throws: `SESSION-STATE` when the export was not packaged, or is not the first of those
  ///   begun.
  package mutating func finishExport(_ export: PageExport) throws(MigrationError) {
    try require(.exporting)
    guard export.stage == .packaged, let first = export.first,
      first.sequence == ledger.transcript.pages + 1
    else {
      throw MigrationError(.sessionState, "pages are not the next that were to be packaged")
    }
    try ledger.transcript.append(pages: export.transcribed)
    if digestKey != nil, first.operation != .cancel {
      for index in 0..<export.count {
        digests.note(
          export.digests[index], of: first.gpa + UInt64(index * PageMetadata.pageSize))
      }
    }
    export.finish()
  }

  /// Begins an epoch with the state that this SVSM holds of its guest now.
  /// - Throws: `SESSION-STATE` when pages of the epoch have already left, or none may leave; what
  ///   is wrong with the guest, as when the session began.
  package mutating func beginEpoch(with guest: TrustedGuestState) throws(MigrationError) {
    try require(.exporting)
    try requireStart()
    try guest.validateForExport(features: instance.features)
    self.guest = guest
    states = PageStateCursor(guest.pageStates)
    fresh = (0, 0)
  }

  /// Begins an epoch of a guest that runs: its page states are as they were.
  /// - Throws: `SESSION-STATE` when pages of the epoch have already left, or none may leave.
  package mutating func beginEpoch() throws(MigrationError) {
    try require(.exporting)
    try requireStart()
    states = PageStateCursor(guest.pageStates)
    fresh = (0, 0)
  }

  private func requireStart() throws(MigrationError) {
    guard freshness != .atRest, ledger.position.counts == PageCounts() else {
      throw MigrationError(.sessionState, "no epoch can begin here")
    }
  }

  /// Takes the state of a guest that ran and is paused now: its vCPUs and services.
  /// - Throws: `SESSION-STATE` for a guest at rest, or when page states are not those of this epoch;
  ///   what is wrong with the guest.
  package mutating func pause(with guest: TrustedGuestState) throws(MigrationError) {
    try require(.exporting)
    guard freshness != .atRest, guest.pageStates == self.guest.pageStates else {
      throw MigrationError(.sessionState, "state is not that of the guest whose pages left")
    }
    try guest.validateForExport(features: instance.features)
    self.guest = guest
  }

  /// Makes a check that compares pages of this session.
  /// - Throws: `SESSION-STATE` in a session whose freshness is not `compared`.
  package func makeCheck() throws(MigrationError) -> PageCheck {
    guard let digestKey else {
      throw MigrationError(.sessionState, "pages of this session are not compared")
    }
    return try PageCheck(digestKey: digestKey)
  }

  /// Begins to compare validated pages with what was last exported of them.
  ///
  /// - Parameters:
  ///   - check: the check that compares them next. Checks are begun by ascending address.
  ///   - gpa: guest-physical address of the first page; the others follow it.
  ///   - count: number of pages, at most `PageCheck.capacity`, all in one run of the page-state
  ///     map.
  /// - Throws: `PAGE-STALE` for a page that is not present; `SESSION-STATE` for pages that are not
  ///   validated, or out of order.
  package mutating func beginCheck(
    _ check: PageCheck, at gpa: UInt64, count: Int
  ) throws(MigrationError) {
    try require(.exporting)
    precondition(count > 0 && count <= PageCheck.capacity)
    try check.requireIdle()
    let size = UInt64(count * PageMetadata.pageSize)
    guard let run = states.run(at: gpa), run.state == .validated, run.end - gpa >= size,
      gpa >= fresh.end
    else {
      throw MigrationError(.sessionState, "pages are not checked in the order of their addresses")
    }
    for index in 0..<count {
      let page = gpa + UInt64(index * PageMetadata.pageSize)
      guard ledger.isPresent(page), let digest = digests[page] else { throw stale(page) }
      check.expect(digest, ofPage: index)
    }
    check.begin(at: gpa, count: count, epoch: ledger.position.epoch)
    fresh.end = gpa + size
  }

  /// Takes the result of a check.
  /// - Throws: `PAGE-STALE`, naming the first page that has changed since it was exported;
  ///   `SESSION-STATE` when the pages were not compared, or in another epoch.
  package mutating func finishCheck(_ check: PageCheck) throws(MigrationError) {
    try require(.exporting)
    guard check.stage == .compared, check.epoch == ledger.position.epoch else {
      throw MigrationError(.sessionState, "pages were not compared in this epoch")
    }
    if let gpa = check.stale { throw stale(gpa) }
    fresh.pages += UInt64(check.count)
    check.finish()
  }

  private func stale(_ gpa: UInt64) -> MigrationError {
    MigrationError(
      .pageStale, "current content of a page is not exported", in: .pageStates,
      got: "gpa \(Hex.number(gpa))")
  }

  /// Closes the epoch with its token: 128 bytes.
  /// - Parameter isLast: whether the guest is paused and every validated page is exported as it is
  ///   now.
  /// - Throws: `PAGE-STALE` when `isLast` is set and the exported pages are not the validated ones,
  ///   or, where pages are compared, not all of them were checked in this epoch; `VCPU-COUNT` when it
  ///   is set and the guest was not paused; `SESSION-STATE` when `isLast` is not set in a session of
  ///   one epoch.
  package mutating func closeEpoch(isLast: Bool) throws(MigrationError) -> [UInt8] {
    try require(.exporting, or: .epochOrder)
    if isLast {
      try requireFreshness()
    } else if freshness == .atRest {
      throw MigrationError(.sessionState, "session has one epoch")
    }
    let token = try ledger.token(isLast: isLast)
    let bytes = token.encoded
    let record = try bytes + keys.tag(ofToken: bytes, epoch: token.epoch)
    try ledger.admit(token, record: record.span, at: 0)
    if isLast { phase = .drained }
    return record
  }

  private func requireFreshness() throws(MigrationError) {
    guard !guest.vcpus.isEmpty else {
      throw MigrationError(.vcpuCount, "the guest runs: its vCPUs are not known")
    }
    let validated = guest.pageStates.pages(in: .validated)
    guard ledger.presentPages == validated else {
      throw MigrationError(
        .pageStale, "exported pages are not the validated ones", in: .pageStates,
        expected: "\(validated) pages", got: "\(ledger.presentPages)")
    }
    guard digestKey == nil || fresh.pages == validated else {
      throw MigrationError(
        .pageStale, "not every validated page was compared with its export",
        in: .pageStates, expected: "\(validated) pages", got: "\(fresh.pages)")
    }
  }

  /// Packages the final guest and SVSM state: vCPUs, services, the facts of the secrets page and
  /// the page-state map, in this order, each as whole records.
  ///
  /// - Parameters:
  ///   - secretsPage: content of the guest's secrets page, when it has one: 4096 bytes.
  ///   - emit: called with each record.
  /// - Throws: `SECRETS-PAGE`, `VCPU-VMPL`, `SERVICE-SYNTAX`, `SESSION-STATE`; what `emit` throws.
  package mutating func packageFinalState(
    secretsPage: [UInt8]?,
    emit: (FinalRecord, [UInt8]) throws(MigrationError) -> Void
  ) throws(MigrationError) {
    try require(.drained, or: phase == .exporting ? .finalOrder : .sessionState)
    let secrets = try guest.secrets(in: secretsPage)
    // What a destination refuses must not leave, because this source cannot go on after its commit.
    try guest.requireAgreement(with: secrets)
    // If packaging stops halfway, the session stays dead.
    phase = .dead
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
    if let secrets {
      let plaintext = SecretsPlaintext.encode(gpa: secrets.gpa, facts: secrets.facts)
      try package(.secrets, plaintext, &sealer, emit)
    }
    var rest = guest.pageStates.runs[...]
    repeat {
      let part = rest.prefix(FinalRecord.runsPerPart)
      rest = rest.dropFirst(part.count)
      try package(.pageStates, PageStateMap.encode(part), &sealer, emit)
    } while !rest.isEmpty
    phase = .described
  }

  /// Commits: totals and transcript, 144 bytes. The guest must not run here afterwards.
  /// - Throws: `SESSION-STATE` when the session has already committed, or final state was not
  ///   packaged.
  package mutating func commit() throws(MigrationError) -> [UInt8] {
    try require(.described)
    let commit = try ledger.commit()
    try ledger.admit(commit, at: 0)
    phase = .committed
    let bytes = commit.encoded
    return try bytes + keys.tag(ofCommit: bytes)
  }

  /// Signs the seal of the stream with the attested key. Returns r and the lower of the two values
  /// of s, 48 bytes each.
  /// - Throws: `SESSION-STATE` before the commit.
  package func sign(_ seal: Seal) throws(MigrationError) -> [UInt8] {
    try require(.committed)
    return try instance.sign(seal, as: .snp)
  }

  private mutating func package(
    _ kind: FinalRecord.Kind, _ plaintext: [UInt8], _ sealer: inout AEADSealer,
    _ emit: (FinalRecord, [UInt8]) throws(MigrationError) -> Void
  ) throws(MigrationError) {
    var plaintext = plaintext
    defer { wipe(&plaintext) }
    let record = FinalRecord(
      kind: kind, index: ledger.position.final[kind], sequence: ledger.position.final.total + 1,
      length: UInt32(truncatingIfNeeded: plaintext.count))
    let head = record.encoded
    let sealed = try sealer.seal(
      plaintext, nonce: AEADNonce(sequence: record.sequence), associatedData: head)
    let header = head + sealed.tag
    try ledger.admit(record, header: header.span, at: 0)
    try emit(record, header + sealed.ciphertext)
  }
}
