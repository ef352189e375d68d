internal import Errors
internal import QEMUStream
internal import SVSM
internal import Threads
internal import Wire

/// One pass of a verifier over an SNP stream.
///
/// It processes the records in stream order, with the checks of a destination in their order, and
/// notes everything that is wrong. With keys, all worker threads check tags. Nothing is restored.
struct StreamAudit: ~Copyable {
  let findings: FindingLedger
  let trace: SessionTrace?
  let trust: Trust
  let offer: MigrationData?
  let instance: SVSMInstance?
  var stream: RecordPipeline
  /// The transfer data of the session, and where its payload begins in the stream.
  var session: (data: TransferData, offset: UInt64)?
  /// Judges the records; nil before the session.
  var records: MigrationAuditor?
  /// Whether the session's keys are available.
  private(set) var hasKeys = false
  var host = HostBooks()
  /// Whether a section of the host was refused, so that the guest cannot be composed.
  var isHostUnknown = false
  /// What a destination would restore; nil unless an authentic commit came with all the pieces it
  /// counts.
  var restored: RestoredState?
  /// Whether the records were read to their end.
  var isFollowed = false
  /// Whether a seal was read.
  var hasSeal = false
  /// The error after which the records could not be followed any further.
  var stop: MigrationError?
  private let progress: (UInt64) -> Void
  /// For each report that was judged: whether its chain was checked against a revocation list.
  private var chainsHeld: [Bool] = []

  init(
    _ input: StreamInput, offer: MigrationData?, instance: SVSMInstance?, trust: Trust,
    crew: WorkCrew, noting findings: FindingLedger, trace: SessionTrace?,
    progress: @escaping (UInt64) -> Void
  ) {
    (self.findings, self.trace, self.progress) = (findings, trace, progress)
    (self.trust, self.offer, self.instance) = (trust, offer, instance)
    stream = RecordPipeline(
      SNPStreamReader(input, checkingSealWith: crew, noting: findings), crew: crew)
  }

  /// The last record's payload, as a copy that stays valid while the record is judged.
  var payload: [UInt8] { Array(copying: stream.reader.payload) }

  /// Reads the stream as far as possible.
  /// - Throws: errors that are not refusals; the first refusal when the pass is to end there.
  mutating func run() throws(MigrationError) {
    try walk()
    if stop != nil, try stream.reader.resumeAtSeal() { try walk() }
    try checkHost()
    if instance == nil { try checkSource() }
    try checkOffer()
    noteFreshness()
  }

  /// Whether the certificates of both parties were checked for revocation.
  var revocation: VerificationReport.Revocation {
    if trust.revocationLists.isEmpty { return .noList }
    return chainsHeld.isEmpty || chainsHeld.contains(false) ? .noChain : .checked
  }

  /// Processes record after record, to the end or to where they cannot be followed any further.
  private mutating func walk() throws(MigrationError) {
    while true {
      let item: RecordPipeline.Item
      do throws(MigrationError) {
        item = try stream.next()
      } catch {
        try findings.release()
        if findings.hasStopped { throw error }
        if stop == nil { stop = named(error) }
        return try findings.note(error)
      }
      progress(stream.reader.offset)
      if case .pages(let batch) = item {
        try take(batch)
        continue
      }
      if stream.hasReadAhead { try findings.release() }
      guard case .record(let record) = item else { continue }
      if case .end = record { return findings.look(at: .structure) }
      do throws(MigrationError) {
        try take(record)
      } catch {
        guard error.code.isRefusal, !findings.hasStopped else { throw error }
        // The record could not be read at all, so its content is missing from what comes later.
        try findings.note(named(error))
        findings.obstruct(
          .counts, .transcript, .epochOrder, reason: "a record \(place(error)) cannot be read",
          needs: "that record as it was made")
      }
    }
  }

  /// The refusal, with the section it is in.
  func named(_ error: MigrationError) -> MigrationError {
    stream.reader.section.map { error.within(.section($0.name)) } ?? error
  }

  /// Where a refusal is, as a clause of a sentence.
  func place(_ error: MigrationError) -> String {
    error.offset.map { "at byte 0x\(String($0, radix: 16))" } ?? "of the stream"
  }

  /// The handler of what is wrong with the record that was read last.
  var refuse: MigrationError.Refusal {
    let (findings, place) = (findings, stream.reader.section.map { Place.section($0.name) })
    return { error throws(MigrationError) in
      try findings.note(place.map { error.within($0) } ?? error)
    }
  }

  @inline(__always)
  private mutating func take(_ record: SNPStreamReader.Record) throws(MigrationError) {
    switch record {
    case .configuration(let configuration):
      host.machine = String(validating: configuration.machine, as: UTF8.self)
    case .session(let data):
      try traced(.processTransferData) { (audit) throws(MigrationError) in
        try audit.begin(data)
        return nil
      }
    case .ram(let record): try take(record)
    case .guestMap(let map): host.take(map)
    case .machine(let frame): host.frame = frame
    case .device(let entry): try takeDevice(entry)
    case .token:
      try traced(.processEpochToken) { (audit) throws(MigrationError) in try audit.takeToken() }
    case .final(let place):
      try traced(.processFinalState) { (audit) throws(MigrationError) in try audit.take(place) }
    case .commit:
      try traced(.processCommit) { (audit) throws(MigrationError) in
        try audit.takeCommit()
        return nil
      }
    case .eof: endRecords()
    case .seal:
      hasSeal = true
      if session != nil { findings.look(at: .sealSigner) }
    case .vmdescription: findings.look(at: .seal)
    case .skipped(let header):
      // The reader of an audit skips a map that it refused.
      if header.name == SNPSection.guestMap.name { isHostUnknown = true }
    case .pages, .end: break
    }
  }

  // MARK: The session

  private mutating func begin(_ data: TransferData) throws(MigrationError) {
    guard session == nil else { return }
    let offset = stream.reader.payloadOffset
    session = (data, offset)
    var keyOwner = instance
    if let instance, try !instance.mayHaveRestored(data) {
      do throws(MigrationError) {
        try instance.requireReady(as: .destination)
      } catch {
        try findings.note(error, about: .freshness)
      }
    }
    if let offer {
      findings.look(at: .recipient)
      do throws(MigrationError) {
        try data.requireAnswer(to: offer, at: offset)
      } catch {
        // The key wrap binds the offer's digest, so the key of another offer does not unwrap.
        keyOwner = nil
        try findings.note(error)
      }
    }
    if instance != nil { try checkSource() }
    records = try MigrationAuditor(data, for: keyOwner)
    stream.makeImport = records?.makeImport
    hasKeys = stream.makeImport != nil
    guard keyOwner != nil else { return }
    guard hasKeys else { return try findings.note(TransferData.unwrapError(at: offset)) }
    findings.look(at: .transportKey)
  }

  /// Checks the source's proof. Without keys this is the last check, so that damage is reported as
  /// damage and not as a forgery.
  private mutating func checkSource() throws(MigrationError) {
    guard let session, session.data.flags.contains(.mutual) else { return }
    try check(
      session.data.report, session.data.certificates, session.data.expectedReportData(),
      in: .session, at: session.offset + UInt64(TransferData.Layout.size),
      .sourceAttestation)
  }

  private mutating func checkOffer() throws(MigrationError) {
    guard let offer else { return }
    try check(
      offer.report, offer.certificates, offer.expectedReportData(), in: .offer,
      at: UInt64(MigrationData.Layout.size), .destinationAttestation)
    // The binding needs both reports: if one is missing, or proves nothing, nothing is bound.
    guard session?.data.flags.contains(.mutual) == true else { return }
    for half in [VerificationReport.Property.sourceAttestation, .destinationAttestation]
    where findings.isOpen(half) {
      findings.obstruct(
        .keyBinding, reason: "\(half.rawValue) is not proven, so that report proves no binding",
        needs: "a report under a trusted root")
    }
    findings.look(at: .keyBinding)
  }

  private mutating func check(
    _ report: [UInt8], _ certificates: [UInt8], _ reportData: [UInt8], in place: Place,
    at offset: UInt64, _ property: VerificationReport.Property
  ) throws(MigrationError) {
    var errors: [MigrationError] = []
    let isHeld = try trust.audit(
      report: report, certificates: certificates, reportData: reportData, of: place, at: offset
    ) { (error) throws(MigrationError) in errors.append(error) }
    chainsHeld.append(isHeld)
    // A root that is not among the trusted ones, or a certificate that is not available, is no
    // evidence of a fault.
    let unknown: [ErrorCode] = [.certificateRoot, .certificateMissing]
    let isUnknown = errors.allSatisfy { unknown.contains($0.code) || $0.code == .reportData }
    for error in errors {
      if error.code == .reportData {
        try findings.note(error, about: .keyBinding)
      } else if isUnknown {
        try findings.note(
          error, unknownTo: property, reason: Self.unknown(error),
          needs: error.code == .certificateRoot
            ? "that root, named with \(.trust), if it is to be trusted" : error.expected ?? "it")
      } else {
        try findings.note(error, about: property)
      }
    }
    findings.look(at: property)
  }

  private static func unknown(_ error: MigrationError) -> Wording {
    guard error.code == .certificateRoot, let root = error.got else { return error.what }
    return "the chain ends in a root that is not trusted: \(root)"
  }

  private func noteFreshness() {
    if hasKeys, instance?.stage == .ready { findings.look(at: .freshness) }
  }
}
