package import Attacks
internal import Cryptography
package import Errors
internal import FileIO
internal import Migration
internal import QEMUStream
internal import SEVSNP
package import SVSM
package import Threads
internal import Wire

/// Every attack on every stream, and what each check says to it.
///
/// Streams are kept in memory: the matrix is for small ones.
package struct AttackMatrix {
  /// A stream that is attacked.
  package struct Stream: Sendable {
    package var name: String
    package var bytes: [UInt8]

    package init(name: String, bytes: [UInt8]) { (self.name, self.bytes) = (name, bytes) }
  }

  /// What all trials have in common.
  package struct Setting: Sendable {
    /// The destination the streams are for, which has loaded none.
    package var instance: SVSMInstance
    package var trust: Trust
    package var seed: [UInt8]

    package init(instance: SVSMInstance, trust: Trust, seed: [UInt8]) {
      (self.instance, self.trust, self.seed) = (instance, trust, seed)
    }
  }

  /// Bytes that a stream of the matrix may have.
  package static let streamLimit = 256 << 20

  /// One attack on one stream, and what came of it.
  package struct Outcome: Sendable {
    package var stream: String
    package var attack: Attack
    package var isMended: Bool
    /// Why it could not be made of this stream.
    package var needs: MigrationError?
    /// What each check refused with; nil when it did not refuse.
    package var keyless: ErrorCode?
    package var keyed: ErrorCode?
    package var loaded: ErrorCode?
    /// Files that a refused load left or changed.
    package var leftovers: [String] = []
    /// Whether the load was told to take sources without proof.
    package var isOneWay = false

    package var wasMade: Bool { needs == nil }
    /// Whether a destination took it, or a source served it, though it should not have.
    package var isAccepted: Bool { wasMade && loaded == nil && !isException }
    /// The exception that is documented: without proof nobody knows who the source is.
    package var isException: Bool { isOneWay && attack.passesOneWay && loaded == nil }

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

  /// How many attacks there are to make.
  package var count: Int { trials.count }

  /// - Throws: what is wrong with the streams as they are.
  package init(_ streams: [Stream], _ setting: Setting) throws(MigrationError) {
    // Another destination, and one that has loaded the stream: each made for this run.
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

  /// Makes every trial, with all threads of `crew`.
  /// - Parameter progress: takes the number of attacks that are done.
  /// - Throws: only what is no refusal.
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

/// What the attacks on one stream, or on an offer, are made from.
final class AttackBase: Sendable {
  let name: String
  let materials: Materials
  let setting: AttackMatrix.Setting
  let other: SVSMInstance?
  /// The destination once it has loaded the stream.
  let used: SVSMInstance?
  /// Whether the stream's source does not prove itself: loads are told to take that.
  let isOneWay: Bool

  /// - Throws: what is wrong with the stream.
  init(
    _ stream: AttackMatrix.Stream, _ setting: AttackMatrix.Setting, other: SVSMInstance
  ) throws(MigrationError) {
    name = stream.name
    self.setting = setting
    self.other = other
    var materials = Materials(try Materials.Input(stream.bytes))
    materials.instance = setting.instance
    materials.offer = other.offer
    materials.seed = setting.seed
    var twin = materials
    twin.seed = setting.seed + Array("second session".utf8)
    // The same guest in a session of its own: what a splice can come nearest with.
    let output = CollectedOutput()
    try Recipe(parsing: "rogue").make(from: twin, to: output)
    materials.second = try Materials.Input(output.bytes)
    self.materials = materials
    var reader = SNPStreamReader(
      StreamInput(ArraySource(stream.bytes)), checkingSealWith: nil)
    _ = try reader.next()
    guard case .session(let session) = try reader.next() else {
      throw MigrationError(.streamKind, "\(stream.name) does not begin with a session")
    }
    isOneWay = !session.flags.contains(.mutual)
    used = try setting.instance.restoring(by: session, unnamed: nil).imported()
  }

  init(
    offerOf instance: SVSMInstance, _ setting: AttackMatrix.Setting
  ) throws(MigrationError) {
    name = "offer"
    self.setting = setting
    (other, used, isOneWay) = (nil, nil, false)
    materials = Materials(try Materials.Input(instance.offer.encoded))
  }
}
