internal import Attacks
internal import Cryptography
internal import Errors
internal import FileIO
internal import Import
internal import JSON
internal import Migration
internal import QEMUStream
internal import SEVSNP
internal import SVSM
internal import Threads
internal import Wire

/// Runs our own code on the file of a vector, depending on the vector's subject.
struct VectorCheck {
  /// The verdict of each reader; nil means accepted.
  struct Said {
    var keyed: MigrationError?
    var keyless: MigrationError?
    var load: MigrationError?

    /// A verdict that does not depend on keys.
    init(_ said: MigrationError?) { (keyed, keyless, load) = (said, said, said) }

    init(keyed: MigrationError?, keyless: MigrationError?, load: MigrationError?) {
      (self.keyed, self.keyless, self.load) = (keyed, keyless, load)
    }
  }

  let vector: Vector
  let files: VectorFiles
  private let crew = WorkCrew(jobs: 1)

  init(_ vector: Vector, _ files: VectorFiles) { (self.vector, self.files) = (vector, files) }

  /// Runs the check.
  /// - Throws: errors that are not a verdict on the vector's file.
  func run() throws(MigrationError) -> Said {
    switch vector.subject {
    case .stream: return try checkStream()
    case .instance:
      return Said(try load(try files.path(.stream), instance: files.subject))
    case .qemu:
      return try refusal { () throws(MigrationError) in
        try checkPlain(files.subject, channels: try files.paths(.channel))
      }
    case .channel:
      return try refusal { () throws(MigrationError) in
        try checkPlain(try files.path(.stream), channels: [files.subject] + files.paths(.channel))
      }
    case .offer: return try refusal(checkOffer)
    case .report:
      return try refusal { () throws(MigrationError) in
        try checkReport(files.subject, certificates: try files.paths(.certificate))
      }
    case .certificate:
      return try refusal { () throws(MigrationError) in
        try checkReport(
          try files.path(.report), certificates: [files.subject] + files.paths(.certificate))
      }
    case .table:
      return try refusal { () throws(MigrationError) in
        _ = try SuppliedCertificates(CertificateTable(files.content()))
      }
    case .policy:
      return try refusal { () throws(MigrationError) in
        _ = try AttestationPolicy(parsing: files.content())
      }
    case .json:
      return try refusal { () throws(MigrationError) in
        _ = try JSON(parsing: files.content())
      }
    case .vector:
      return try refusal { () throws(MigrationError) in
        _ = try Vector(files.content(), fileName: vector.name)
      }
    // A recipe is refused while it is followed; commands and library calls have no file.
    case .recipe, .command, .library: return Said(nil)
    }
  }

  private func refusal(
    _ body: () throws(MigrationError) -> Void
  ) throws(MigrationError) -> Said {
    do throws(MigrationError) {
      try body()
    } catch {
      guard error.code.isRefusal else { throw error }
      return Said(files.named(error))
    }
    return Said(nil)
  }

  private func trust(at time: Int64) throws(MigrationError) -> Trust {
    Trust(anchors: try files.anchors(), time: time)
  }

  // MARK: Streams

  private func checkStream() throws(MigrationError) -> Said {
    let verifier = StreamVerifier(trust: try trust(at: WallClock.now), crew: crew)
    let instance = try SVSMInstance(
      readSmallFile(try files.path(.instance), limit: SVSMInstance.maximumSize))
    return Said(
      keyed: try opened { (input) throws(MigrationError) in
        try verifier.verify(input, for: instance)
      }, keyless: try opened { (input) throws(MigrationError) in try verifier.verify(input) },
      load: try load(files.subject, instance: try files.path(.instance)))
  }

  /// Opens the file as `svsm-mig-verify` does: an empty file is refused.
  private func opened(
    _ verify: (StreamInput) throws(MigrationError) -> VerificationReport
  ) throws(MigrationError) -> MigrationError? {
    let input: StreamInput
    do throws(MigrationError) {
      input = try StreamInput(opening: InputFile(files.subject))
    } catch {
      guard error.code == .streamEmpty else { throw error }
      return error
    }
    return try verify(input).refusal
  }

  /// The verdict of `svsm-mig-load` when it is told to accept every source.
  private func load(
    _ stream: String, instance: String
  ) throws(MigrationError) -> MigrationError? {
    // A load uses up its instance, so it is given a copy.
    let copy = files.scratch.path("loading.svsm")
    try files.scratch.write(
      "loading.svsm", readSmallFile(instance, limit: SVSMInstance.maximumSize))
    defer { files.scratch.removeFolder("guest") }
    let trusted = try files.paths(.trust)
    return TrialLoad(stream, by: copy).refusal(to: files.scratch.path("guest")) {
      () throws(MigrationError) in
      Trust(anchors: try TrustAnchor.anchors(namedIn: trusted), time: WallClock.now)
    }
  }

  private func checkPlain(_ path: String, channels: [String]) throws(MigrationError) {
    let input = try QEMUInput(try InputFile(path), channels: channels)
    try input.requireWholeImage()
    var verifier = PlainStreamVerifier(
      try input.reader(), input.assembly(),
      sealedBy: nil, crew: crew)
    if let refusal = try verifier.verify(explain: { input.explain($0) }).refusal { throw refusal }
  }

  // MARK: Offers and reports

  private func checkOffer() throws(MigrationError) {
    let seed = Array(vector.name.utf8)
    let source = try SVSMInstance(
      on: .model(chip: 1), features: .snp, random: .seeded(seed))
    var trust = try trust(at: WallClock.now)
    trust.policy = try files.policy()
    trust.revocationLists = try files.revocationLists()
    _ = try Attack.session(to: files.content(), from: source, trust: trust, seed: seed)
  }

  private func checkReport(_ path: String, certificates paths: [String]) throws(MigrationError) {
    let file = try ReportFile(reading: path)
    // A vector can name certificates for an offer's report, in addition to those in the offer.
    var supplied = file.container?.certificates ?? SuppliedCertificates()
    for path in paths { supplied.append(try SuppliedCertificates(inFile: path)) }
    let time = vector.words[.at].flatMap { AttestationTime($0)?.time }
    var verifier = AttestationVerifier(
      trust: try files.anchors(),
      requirements: vector.words[.demands] == nil ? .anyGuest : .init(),
      time: time ?? .at(WallClock.now), revocationLists: try files.revocationLists())
    verifier.requirements.policy = try files.policy()
    verifier.requirements.reportData = file.container?.hcl?.reportData
    try verifier.verify(report: file.report, supplied: supplied).requireAccepted()
  }
}
