internal import Cryptography
internal import Errors
internal import FileIO
package import Guest
package import Migration
internal import QEMUStream
internal import SEVSNP
package import SVSM
internal import Threads
internal import Wire

/// Both ends of a migration, made from seeds.
package enum Lab {
  /// The model platform's roots, at a time its certificates hold.
  package static let trust = Trust(anchors: TrustAnchor.model, time: 1_800_000_000)

  /// The instance whose seed is 32 times `seed`.
  package static func instance(_ seed: UInt8, chip: Int = 0) throws -> SVSMInstance {
    try SVSMInstance(on: .model(chip: chip), features: .snp, random: random(seed))
  }

  /// Saves `guest` for `destination` and gives the stream. The source is instance 2 of chip 1.
  /// - Parameters:
  ///   - rounds: the same guest later, for one more epoch each.
  ///   - state: what the SVSM holds of the guest, when that is not what it should be.
  package static func save(
    _ guest: GuestReader, rounds: [GuestReader] = [], holding state: TrustedGuestState? = nil,
    to destination: SVSMInstance,
    isMutual: Bool = true, seed: UInt8 = 9, jobs: Int = 2, trace: SessionTrace? = nil
  ) throws -> [UInt8] {
    let output = CollectedOutput()
    let svsm = try SourceSVSM(
      instance: instance(2, chip: 1), guest: state ?? guest.trustedState(),
      validating: destination.offer, trust: trust, isMutual: isMutual,
      freshness: rounds.isEmpty ? .atRest : .compared, random: random(seed), trace: trace)
    var vmm = try SourceVMM(
      guest: guest,
      rounds: rounds.map { later in
        SourceVMM.Round(name: "later") { () throws(MigrationError) in later }
      }, svsm: svsm, output: output, crew: WorkCrew(jobs: jobs))
    try vmm.sendGuest { _ in }
    _ = try vmm.commit()
    return output.bytes
  }

  /// Loads `stream` into a bundle at `path`.
  @discardableResult
  package static func load(
    _ stream: [UInt8], for destination: SVSMInstance, to path: String,
    options: DestinationSVSM.Options = .test, jobs: Int = 2, trace: SessionTrace? = nil
  ) throws -> LoadSummary {
    var vmm = DestinationVMM(StreamInput(ArraySource(stream)), crew: WorkCrew(jobs: jobs))
    let writer = try GuestWriter(path)
    var memory: GuestBundleMemory?
    let summary = try vmm.receive(
      begin: { (data, offset) throws(MigrationError) in
        try DestinationSVSM(
          instance: destination, transferData: data, trust: trust, options: options, at: offset,
          trace: trace)
      },
      memory: { (incoming) throws(MigrationError) in
        let made = try writer.begin(blockSizes: incoming.blocks.map(\.size))
        memory = made
        return made
      }, progress: { _ in })
    try memory?.finish(summary.guest)
    return summary
  }

  /// Replays `stream` up to a moment, into memory.
  package static func replay(
    _ stream: [UInt8], until moment: GuestMoment, for destination: SVSMInstance, jobs: Int = 2,
    trace: SessionTrace? = nil
  ) throws -> (summary: ReplaySummary, guest: GuestReader) {
    var vmm = DestinationVMM(StreamInput(ArraySource(stream)), crew: WorkCrew(jobs: jobs))
    var memory: TemporaryMemory?
    let summary = try vmm.replay(
      until: moment,
      begin: { (data, offset) throws(MigrationError) in
        try DestinationSVSM(
          instance: destination, transferData: data, trust: trust, options: .test, at: offset,
          trace: trace)
      },
      memory: { (incoming) throws(MigrationError) in
        let made = try TemporaryMemory(blockSizes: incoming.blocks.map(\.size))
        memory = made
        return made
      }, progress: { _ in })
    guard let guest = try memory?.guest(summary.guest) else {
      throw MigrationError(.internal, "replay has no memory")
    }
    return (summary, guest)
  }

  /// Verifies with the laboratory's trust, or another.
  package static func verifier(trust: Trust = trust, jobs: Int = 2) -> StreamVerifier {
    StreamVerifier(trust: trust, crew: WorkCrew(jobs: jobs))
  }

  /// Seals a plain stream, which comes in pieces of at most `pieceSize` bytes.
  package static func seal(
    _ stream: [UInt8], signedBy signer: SVSMInstance? = nil, jobs: Int = 2, pieceSize: Int = .max
  ) throws -> [UInt8] {
    let output = CollectedOutput()
    let input = StreamInput(ArraySource(stream, pieceSize: pieceSize))
    var sealer = PlainSealer(
      QEMUStreamReader(input), RAMAssembly(), to: output, crew: WorkCrew(jobs: jobs))
    _ = try sealer.seal(signedBy: signer, progress: { _ in })
    return output.bytes
  }

  /// Verifies a plain stream whose first byte is at `offset` of its file.
  package static func verifyPlain(
    _ stream: [UInt8], sealedBy signer: SVSMInstance? = nil, offset: UInt64 = 0, jobs: Int = 2
  ) throws -> VerificationReport {
    let input = StreamInput(ArraySource(stream), offset: offset)
    var verifier = PlainStreamVerifier(
      QEMUStreamReader(input), RAMAssembly(), sealedBy: signer?.offer.publicKey,
      crew: WorkCrew(jobs: jobs))
    return try verifier.verify { $0 }
  }

  private static func random(_ seed: UInt8) -> RandomSource {
    .seeded([UInt8](repeating: seed, count: 32))
  }
}

extension DestinationSVSM.Options {
  /// Takes what tests make: streams from seeds.
  package static var test: Self {
    var options = Self()
    options.acceptsSeeded = true
    return options
  }
}
