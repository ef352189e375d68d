import Attacks
import Errors
import Migration
import MigrationSupport
import QEMUStream
import SEVSNP
import SVSM
import TestSupport
import Testing
import Wire

/// What a seed makes an attack hit differs from stream to stream; the codes are those that the attack lists
/// for what it hits.
///
/// This is a sample: each attack on one of the streams, under one seed. All of it for any seed is
/// `svsm-mig-attack --matrix STREAM... --seed HEX`.
@Suite struct SeedTests {
  /// Pages of small guests, and the seed under which they are attacked.
  private static let samples: [(pages: [PageState], seed: UInt8)] = [
    ([.validated], 1), ([.shared], 2), ([.validated, .shared], 3),
    ([.unaccepted, .validated, .shared], 0xff),
    ([.validated, .validated, .shared, .validated], 0x7b),
  ]
  /// Attacks of one sample: each attack comes in one.
  private static let stride = samples.count + 1

  private static func check(_ stream: [UInt8], seed: UInt8, part: Int) throws {
    let destination = try Laboratory.destination()
    var materials = Materials(try Materials.Input(stream))
    materials.instance = destination
    materials.offer = try Lab.instance(77).offer
    materials.second = try Materials.Input(
      Laboratory.make("rogue", of: stream, seed: seed &+ 1))
    materials.seed = [seed]
    let verifier = Lab.verifier(jobs: 1)
    let attacks = Attack.all.filter {
      $0.subject == .stream && $0.target == .destination && $0.text.contains("?")
    }
    for attack in attacks[part...].striding(by: stride) {
      for isMended in attack.mended == nil ? [false] : [false, true] {
        let output = CollectedOutput()
        let code = refusalCode { try attack.make(from: materials, mended: isMended, to: output) }
        guard code != .attackNeeds else { continue }
        #expect(code == nil, "\(attack.name)")
        let keyless = try verifier.verify(StreamInput(ArraySource(output.bytes))).refusal?.code
        let keyed = try verifier.verify(StreamInput(ArraySource(output.bytes)), for: destination)
          .refusal?.code
        let expected = isMended ? attack.mended : attack.plain
        #expect(
          expected?.allows(
            keyless: keyless, keyed: keyed, loaded: nil, isLoadedFreely: true) == true,
          "\(attack.name) \(isMended): \(keyless?.rawValue ?? "-"), \(keyed?.rawValue ?? "-")")
      }
    }
  }

  @Test(
    "An attack on a small guest ends as it lists, whatever the seed", arguments: 0..<samples.count)
  func aSmallGuestIsAttackedAsListed(sample: Int) throws {
    let (states, seed) = Self.samples[sample]
    let pages = states.enumerated().map { (index, state) in
      (state: state, byte: state == .unaccepted ? 0 : UInt8(index + 1))
    }
    let stream = try Lab.save(SmallGuest.make(pages), to: Laboratory.destination())
    try Self.check(stream, seed: seed, part: sample)
  }

  @Test("An attack on a stream of several epochs ends as it lists, whatever the seed")
  func severalEpochsAreAttackedAsListed() throws {
    try Self.check(Laboratory.rounds(), seed: 5, part: Self.samples.count)
  }

  @Test("What a guest may do between two epochs is an attack on a stream of one")
  func anAttackOnOneEpochNeedsOne() throws {
    let attack = try #require(Attack.named("rogue-unaccepted-run"))
    let single = try Lab.save(
      SmallGuest.make([(.shared, 1), (.validated, 2)]), to: Laboratory.destination())
    for (stream, code) in try [(single, nil), (Laboratory.rounds(), .attackNeeds)]
      as [([UInt8], ErrorCode?)]
    {
      var materials = Materials(try Materials.Input(stream))
      materials.instance = try Laboratory.destination()
      #expect(refusalCode { try attack.make(from: materials, to: Discarded()) } == code)
    }
  }

  @Test("An attack that would leave a stream as it is says that it needs another")
  func anAttackThatChangesNothingSaysSo() throws {
    let stream = try Lab.save(
      SmallGuest.make([(.unaccepted, 0), (.validated, 1), (.shared, 2)]),
      to: Laboratory.destination())
    var materials = Materials(try Materials.Input(stream))
    materials.instance = try Laboratory.destination()
    let attack = try #require(Attack.named("rogue-unaccepted-run"))
    let code = refusalCode { try attack.make(from: materials, to: Discarded()) }
    #expect(code == .attackNeeds)
  }
}

extension ArraySlice {
  /// Every `step`-th element, the first included.
  fileprivate func striding(by step: Int) -> [Element] {
    stride(from: startIndex, to: endIndex, by: step).map { self[$0] }
  }
}
