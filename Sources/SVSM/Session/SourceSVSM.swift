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

  package internal(set) var phase = Phase.exporting
  /// Observes the calls; the VMM tells it where it puts the records.
  package private(set) var trace: SessionTrace?
  private let instance: SVSMInstance
  private var guest: TrustedGuestState
  let keys: SessionKeys
  private let freshness: Freshness
  /// Key of the page digests; nil where no page is compared with its export.
  let digestKey: SecretBytes?
  var digests = PageDigests()
  /// Number of validated pages below `end` that were checked in this epoch to be as they were
  /// exported.
  var fresh: (pages: UInt64, end: UInt64) = (0, 0)
  var ledger: RecordLedger
  var states: PageStateCursor

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
  ///   - trace: observes the calls, this one included.
  /// - Throws: what is wrong with the offer, the report or its certificates; `INSTANCE-USED`,
  ///   `INSTANCE-RESTORING` or `INSTANCE-ABORTED` when this instance cannot save; `OFFER-USED`.
  package init(
    instance: SVSMInstance, guest: TrustedGuestState, validating offer: MigrationData,
    trust: Trust, isMutual: Bool, freshness: Freshness = .atRest, random: RandomSource,
    trace: SessionTrace? = nil
  ) throws(MigrationError) {
    let before = "\(instance.stage)"
    do throws(MigrationError) {
      try self.init(
        of: instance, guest, answering: offer, trust, isMutual: isMutual, freshness, random)
    } catch {
      trace?.refuse(.createTransferData, from: before, to: before, with: error.code)
      throw error
    }
    self.trace = trace
    trace?.note(.createTransferData, from: before, to: "\(phase)")
  }

  private init(
    of instance: SVSMInstance, _ guest: TrustedGuestState, answering offer: MigrationData,
    _ trust: Trust, isMutual: Bool, _ freshness: Freshness, _ random: RandomSource
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
  func require(_ due: Phase, or code: ErrorCode = .sessionState) throws(MigrationError) {
    guard phase == due else {
      throw MigrationError(code, "call out of order", expected: "\(due)", got: "\(phase)")
    }
  }

  /// Notes a call that succeeded, at the place that the VMM has named.
  func noted(_ call: TraceCall, from before: Phase) {
    trace?.note(call, from: "\(before)", to: "\(phase)", at: trace?.place?.offset)
  }

  /// Notes the refusal of a call.
  func refused(
    _ error: MigrationError, by call: TraceCall, from before: Phase
  ) -> MigrationError {
    trace?.refuse(call, from: "\(before)", to: "\(phase)", with: error.code)
    return error
  }

  /// Compares the host's private/shared attributes with the page-state map of the SVSM.
  /// - Parameter privateRanges: guest-physical ranges that the host calls private, ascending and
  ///   merged.
  /// - Throws: `MAP-DISAGREES`, naming the first address; `SESSION-STATE` after the last token.
  package func validateAttributes(
    _ privateRanges: some Sequence<Range<UInt64>>
  ) throws(MigrationError) {
    do throws(MigrationError) {
      try compareAttributes(privateRanges)
    } catch {
      throw refused(error, by: .validateAttributes, from: phase)
    }
    trace?.note(.validateAttributes, from: "\(phase)", to: "\(phase)")
  }

  private func compareAttributes(
    _ privateRanges: some Sequence<Range<UInt64>>
  ) throws(MigrationError) {
    try require(.exporting)
    if let gpa = guest.pageStates.firstDisagreement(with: privateRanges) {
      let state = guest.pageStates.run(at: gpa)?.state
      throw MigrationError(
        .mapDisagrees, "host and SVSM disagree about a page", in: .pageStates,
        expected: state.map { "\($0) as the SVSM knows it" } ?? "no page",
        got: "gpa \(Hex.number(gpa)) the other way by the host's attributes")
    }
  }

  /// Begins an epoch with the state that this SVSM holds of its guest now.
  /// - Throws: `SESSION-STATE` when pages of the epoch have already left, or none may leave; what
  ///   is wrong with the guest, as when the session began.
  package mutating func beginEpoch(with guest: TrustedGuestState) throws(MigrationError) {
    do throws(MigrationError) {
      try require(.exporting)
      try requireStart()
      try guest.validateForExport(features: instance.features)
    } catch {
      throw refused(error, by: .beginEpoch, from: phase)
    }
    trace?.note(self.guest.pageStates.changes(to: guest.pageStates), in: "\(phase)")
    self.guest = guest
    states = PageStateCursor(guest.pageStates)
    fresh = (0, 0)
  }

  /// Begins an epoch of a guest that runs: its page states are as they were.
  /// - Throws: `SESSION-STATE` when pages of the epoch have already left, or none may leave.
  package mutating func beginEpoch() throws(MigrationError) {
    do throws(MigrationError) {
      try require(.exporting)
      try requireStart()
    } catch {
      throw refused(error, by: .beginEpoch, from: phase)
    }
    trace?.note([], in: "\(phase)")
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
    do throws(MigrationError) {
      try require(.exporting)
      guard freshness != .atRest, guest.pageStates == self.guest.pageStates else {
        throw MigrationError(.sessionState, "state is not that of the guest whose pages left")
      }
      try guest.validateForExport(features: instance.features)
    } catch {
      throw refused(error, by: .pause, from: phase)
    }
    trace?.note(.pause, from: "\(phase)", to: "\(phase)")
    self.guest = guest
  }

  /// Closes the epoch with its token: 128 bytes.
  /// - Parameter isLast: whether the guest is paused and every validated page is exported as it is
  ///   now.
  /// - Throws: `PAGE-STALE` when `isLast` is set and the exported pages are not the validated ones,
  ///   or, where pages are compared, not all of them were checked in this epoch; `VCPU-COUNT` when it
  ///   is set and the guest was not paused; `SESSION-STATE` when `isLast` is not set in a session of
  ///   one epoch.
  package mutating func closeEpoch(isLast: Bool) throws(MigrationError) -> [UInt8] {
    let before = phase
    do throws(MigrationError) {
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
      if isLast {
        phase = .drained
      } else {
        // The guest runs on: they are taken anew when it is paused.
        (guest.vcpus, guest.services) = ([], [])
      }
      trace?.note(
        token, by: .closeEpoch, from: "\(before)", to: "\(phase)", at: trace?.place?.offset)
      return record
    } catch {
      throw refused(error, by: .closeEpoch, from: before)
    }
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
    let before = phase
    do throws(MigrationError) {
      try packageFinal(secretsPage, emit)
    } catch {
      throw refused(error, by: .packageFinalState, from: before)
    }
    trace?.note(.packageFinalState, from: "\(before)", to: "\(phase)")
  }

  private mutating func packageFinal(
    _ secretsPage: [UInt8]?, _ emit: (FinalRecord, [UInt8]) throws(MigrationError) -> Void
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
    for part in guest.pageStates.encoded(inPartsOf: FinalRecord.runsPerPart) {
      try package(.pageStates, part, &sealer, emit)
    }
    phase = .described
  }

  /// Commits: totals and transcript, 144 bytes. The guest must not run here afterwards.
  /// - Throws: `SESSION-STATE` when the session has already committed, or final state was not
  ///   packaged.
  package mutating func commit() throws(MigrationError) -> [UInt8] {
    let before = phase
    do throws(MigrationError) {
      try require(.described)
      let commit = try ledger.commit()
      try ledger.admit(commit, at: 0)
      phase = .committed
      let bytes = commit.encoded
      let record = try bytes + keys.tag(ofCommit: bytes)
      noted(.commit, from: before)
      return record
    } catch {
      throw refused(error, by: .commit, from: before)
    }
  }

  /// Signs the seal of the stream with the attested key. Returns r and the lower of the two values
  /// of s, 48 bytes each.
  /// - Throws: `SESSION-STATE` before the commit.
  package func sign(_ seal: Seal) throws(MigrationError) -> [UInt8] {
    do throws(MigrationError) {
      try require(.committed)
      let signature = try instance.sign(seal, as: .snp)
      noted(.signSeal, from: phase)
      return signature
    } catch {
      throw refused(error, by: .signSeal, from: phase)
    }
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
    let bytes = try sealer.sealFinal(record, plaintext)
    let header = bytes.span.extracting(first: FinalRecord.Layout.size)
    try ledger.admit(record, header: header, at: 0)
    try emit(record, bytes)
    let name = "\(Phase.drained)"
    trace?.note(
      record, by: .packageFinalState, from: name, to: name, at: trace?.place?.offset)
  }
}
