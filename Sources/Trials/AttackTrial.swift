internal import Attacks
internal import Cryptography
internal import Errors
internal import FileIO
internal import Import
internal import Migration
internal import QEMUStream
internal import SEVSNP
internal import SVSM
internal import Threads
internal import Wire

/// Makes one attack on one stream, verifies the result without and with keys, and loads it as
/// `svsm-mig-load` does.
final class AttackTrial: WorkItem, @unchecked Sendable {
  private(set) var outcome: AttackMatrix.Outcome
  /// An error that is not a refusal, such as a failed write.
  private(set) var failure: MigrationError?
  private let base: AttackBase

  init(_ attack: Attack, isMended: Bool, _ base: AttackBase) {
    self.base = base
    outcome = AttackMatrix.Outcome(stream: base.name, attack: attack, isMended: isMended)
    outcome.isOneWay = base.isOneWay
    super.init()
  }

  override func perform() {
    do throws(MigrationError) {
      try perform(outcome.attack)
    } catch {
      failure = error
    }
  }

  private func perform(_ attack: Attack) throws(MigrationError) {
    if attack.subject == .source {
      outcome.loaded = try saveAgain()
      return
    }
    let folder = try ScratchFolder()
    do throws(MigrationError) {
      try attack.make(
        from: base.materials, mended: outcome.isMended, to: folder.output("stream"))
    } catch {
      guard error.code == .attackNeeds else { throw error }
      outcome.needs = error
      return
    }
    if attack.subject == .offer {
      outcome.loaded = try save(
        to: readSmallFile(folder.path("stream"), limit: MigrationData.maximumSize))
      return
    }
    let destination =
      switch attack.target {
      case .destination: base.setting.instance
      case .used: base.used ?? base.setting.instance
      case .other: base.other ?? base.setting.instance
      }
    outcome.keyless = try verify(folder, nil)
    outcome.keyed = try verify(folder, destination)
    try load(folder, destination)
  }

  // MARK: A stream

  private func verify(
    _ folder: ScratchFolder, _ keys: SVSMInstance?
  ) throws(MigrationError) -> ErrorCode? {
    let verifier = StreamVerifier(trust: base.setting.trust, crew: WorkCrew(jobs: 1))
    let input = StreamInput(FileSource(try InputFile(folder.path("stream"))))
    guard let keys else { return try verifier.verify(input).refusal?.code }
    return try verifier.verify(input, for: keys).refusal?.code
  }

  /// Loads the stream from a file, as `svsm-mig-load` does, and checks which files that leaves or
  /// changes.
  private func load(
    _ folder: ScratchFolder, _ destination: SVSMInstance
  ) throws(MigrationError) {
    let instance = try destination.encoded()
    try folder.write("instance", instance)
    var load = TrialLoad(folder.path("stream"), by: folder.path("instance"))
    load.acceptsOneWay = base.isOneWay
    let trust = base.setting.trust
    if let error = load.refusal(to: folder.path("guest"), trust: { trust }) {
      guard error.code.isRefusal else { throw error }
      outcome.loaded = error.code
    }
    guard outcome.loaded != nil else {
      // The stream was accepted: the only thing left is its guest.
      return folder.removeFolder("guest")
    }
    outcome.leftovers = try folder.names().filter { $0 != "stream" && $0 != "instance" }
    let now = try readSmallFile(folder.path("instance"), limit: SVSMInstance.maximumSize)
    if now != instance { outcome.leftovers.append("instance") }
  }

  // MARK: An offer, a source

  private func save(to offer: [UInt8]) throws(MigrationError) -> ErrorCode? {
    try refusal { (source) throws(MigrationError) in
      _ = try Attack.session(
        to: offer, from: source, trust: base.setting.trust, seed: base.setting.seed)
    }
  }

  private func saveAgain() throws(MigrationError) -> ErrorCode? {
    let offer = base.setting.instance.offer.encoded
    return try refusal { (source) throws(MigrationError) in
      let session = try Attack.session(
        to: offer, from: source, trust: base.setting.trust, seed: base.setting.seed)
      _ = try Attack.session(
        to: offer,
        from: source.exported(by: session, to: base.setting.instance.offer),
        trust: base.setting.trust, seed: base.setting.seed)
    }
  }

  private func refusal(
    _ body: (SVSMInstance) throws(MigrationError) -> Void
  ) throws(MigrationError) -> ErrorCode? {
    let source = try SVSMInstance(
      on: .model(chip: 1), features: .snp,
      random: .seeded(base.setting.seed + Array("source".utf8)))
    do throws(MigrationError) {
      try body(source)
    } catch {
      guard error.code.isRefusal else { throw error }
      return error.code
    }
    return nil
  }
}
