package import Attacks
internal import Cryptography
package import Errors
internal import FileIO
internal import SEVSNP
package import SVSM
package import Threads
internal import Wire

/// Makes every attack on every stream, and records the result of each check.
///
/// What is made lies in temporary files, one for each thread and one for each stream.
package struct AttackMatrix {
  /// A stream to be attacked.
  package struct Stream: Sendable {
    package var name: String
    package var store: any ByteStore

    package init(name: String, _ store: any ByteStore) { (self.name, self.store) = (name, store) }
  }

  /// The settings that all trials share.
  package struct Setting: Sendable {
    /// The destination of the streams, which has not loaded any of them.
    package var instance: SVSMInstance
    /// What the destination trusts.
    package var trust: Trust
    /// The seed that chooses what attacks leave open.
    package var seed: [UInt8]

    package init(instance: SVSMInstance, trust: Trust, seed: [UInt8]) {
      (self.instance, self.trust, self.seed) = (instance, trust, seed)
    }
  }

  /// One attack on one stream, and its results.
  package struct Outcome: Sendable {
    /// Name of the attacked stream, or `offer`.
    package var stream: String
    package var attack: Attack
    /// Whether the host has repaired what it can: the consistent form of the attack.
    package var isMended: Bool
    /// The reason why the attack cannot be made from this stream; nil when it was made.
    package var needs: MigrationError?
    /// The code with which each check refused; nil when it did not refuse.
    package var keyless: ErrorCode?
    package var keyed: ErrorCode?
    package var loaded: ErrorCode?
    /// Names of files that a refused load left behind or changed.
    package var leftovers: [String] = []
    /// Whether the load was told to accept sources without proof.
    package var isOneWay = false

    /// Whether the attack could be made from this stream.
    package var wasMade: Bool { needs == nil }
    /// Whether a destination loaded the stream, or a source served the offer, although it must not.
    package var isAccepted: Bool { wasMade && loaded == nil && !isException }
    /// Whether this is the documented exception: without proof the identity of the source is not
    /// known.
    package var isException: Bool { isOneWay && attack.passesOneWay && loaded == nil }

    /// Whether every check gave a code that the attack lists, and the load left nothing behind.
    /// True as well for an attack that was not made.
    package var isAsExpected: Bool {
      guard wasMade else { return true }
      let expected = isMended ? attack.mended : attack.plain
      guard let expected, leftovers.isEmpty else { return false }
      if attack.subject != .stream { return expected.loaded.contains(loaded) }
      return expected.allows(
        keyless: keyless, keyed: keyed, loaded: loaded, isLoadedFreely: isException)
    }
  }

  private let trials: [AttackTrial]

  /// Number of attacks to be made.
  package var count: Int { trials.count }

  /// - Throws: errors in the original streams.
  package init(_ streams: [Stream], _ setting: Setting) throws(MigrationError) {
    // Another destination, which is made for this run.
    let other = try SVSMInstance(
      on: .model(chip: 0), features: setting.instance.features,
      random: .seeded(setting.seed + Array("other destination".utf8)))
    var trials: [AttackTrial] = []
    for stream in streams {
      let base = try AttackBase(stream, setting, other: other)
      for attack in Attack.all where attack.subject == .stream {
        trials.append(AttackTrial(attack, isMended: false, base))
        if attack.mended != nil { trials.append(AttackTrial(attack, isMended: true, base)) }
      }
    }
    let offers = try AttackBase(offerOf: setting.instance, setting)
    for attack in Attack.all where attack.subject != .stream {
      trials.append(AttackTrial(attack, isMended: false, offers))
    }
    self.trials = trials
  }

  /// Runs all trials on the threads of `crew`.
  /// - Parameter progress: called with the number of attacks that are done.
  /// - Throws: the first error that is not a refusal.
  package func run(_ crew: WorkCrew, progress: (Int) -> Void) throws(MigrationError) -> [Outcome] {
    var outcomes: [Outcome] = []
    var failure: MigrationError?
    crew.performAll(trials) { trial in
      outcomes.append(trial.outcome)
      failure = failure ?? trial.failure
      progress(outcomes.count)
    }
    if let failure { throw failure }
    return outcomes
  }
}

/// The materials for all attacks on one stream or offer.
final class AttackBase: Sendable {
  let name: String
  let materials: Materials
  let setting: AttackMatrix.Setting
  let other: SVSMInstance?
  /// The destination after it has loaded the stream.
  let used: SVSMInstance?
  /// Whether the stream's source does not attest itself; loads are then told to accept that.
  let isOneWay: Bool
  /// Holds the second stream.
  private let scratch: ScratchFolder?

  /// - Throws: errors in the stream.
  init(
    _ stream: AttackMatrix.Stream, _ setting: AttackMatrix.Setting, other: SVSMInstance
  ) throws(MigrationError) {
    name = stream.name
    self.setting = setting
    self.other = other
    var materials = Materials(try Materials.Input(stream.store))
    materials.instance = setting.instance
    materials.offer = other.offer
    materials.seed = setting.seed
    var twin = materials
    twin.seed = setting.seed + Array("second session".utf8)
    // The second stream is the same guest in another session, which is the closest match for a
    // splice.
    let scratch = try ScratchFolder()
    try Recipe(parsing: "rogue").make(from: twin, to: scratch.output("second"))
    materials.second = try Materials.Input(StoredFile(InputFile(scratch.path("second"))))
    (self.materials, self.scratch) = (materials, scratch)
    let session = try materials.input.session()
    isOneWay = !session.flags.contains(.mutual)
    used = try setting.instance.restoring(by: session, unnamed: nil).imported()
  }

  init(
    offerOf instance: SVSMInstance, _ setting: AttackMatrix.Setting
  ) throws(MigrationError) {
    name = "offer"
    self.setting = setting
    (other, used, isOneWay, scratch) = (nil, nil, false, nil)
    materials = Materials(try Materials.Input(instance.offer.encoded))
  }
}
