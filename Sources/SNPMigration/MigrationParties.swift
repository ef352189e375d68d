internal import Cryptography
public import Errors
internal import Guest
internal import Migration
internal import QEMUStream
internal import SEVSNP
internal import SVSM
internal import Threads
internal import Wire

/// Whom a party of a migration believes when the other shows its attestation report.
public struct MigrationTrust: Sendable {
  let trust: Trust

  /// AMD's own roots, and those of `roots`: what a peer on real hardware is held against.
  /// - Parameters:
  ///   - roots: certificates in DER or PEM, among them a root for each chain.
  ///   - time: seconds since 1970 at which certificates must be valid.
  /// - Throws: `CERT-SYNTAX`, `CERT-ROOT`.
  public init(roots: [UInt8] = [], at time: Int64) throws(MigrationError) {
    let named = roots.isEmpty ? [] : try TrustAnchor.named(X509Certificate.read(roots))
    trust = Trust(anchors: TrustAnchor.amd + named, time: time)
  }

  private init(_ trust: Trust) { self.trust = trust }

  /// The roots of the model's platforms. Their keys are public: they vouch for nothing but a model.
  /// - Parameter time: seconds since 1970 at which certificates must be valid.
  public static func model(at time: Int64) -> MigrationTrust {
    MigrationTrust(Trust(anchors: TrustAnchor.model, time: time))
  }
}

/// What a destination publishes: its public key, an attestation report that binds the key, and the certificates
/// to check the report with. The source document calls it migration data.
public struct MigrationOffer: Sendable {
  let data: MigrationData

  /// The bytes to publish (`Formats/migration-data.md`, section 1).
  public var bytes: [UInt8] { data.encoded }

  /// Reads an offer. Nothing is verified yet: the source does that.
  /// - Throws: `OFFER-SYNTAX`, `OFFER-VERSION`, `OFFER-SUITE`.
  public init(_ bytes: [UInt8]) throws(MigrationError) { data = try MigrationData(bytes) }

  init(_ data: MigrationData) { self.data = data }
}

/// The source of one migration: a guest and a new SVSM of the model that holds it.
///
/// A source sends once. That is why `send` consumes it: a guest that was handed over must not be sent again.
public struct MigrationSource: ~Copyable {
  private let guest: GuestReader
  private let instance: SVSMInstance

  /// - Throws: what is wrong with the guest: `GUEST-SHAPE`, `MAP-LAYOUT`, `RAM-BLOCK`, `VCPU-SYNTAX`,
  ///   `VCPU-VMPL`.
  public init(of guest: GuestImage) throws(MigrationError) {
    let reader = try guest.reader()
    let instance = try SVSMInstance(on: .model(chip: 1), features: .snp, random: .system)
    (self.guest, self.instance) = (reader, instance)
  }

  /// Checks the offer, and sends the guest to whoever made it.
  /// - Parameters:
  ///   - offer: the destination's.
  ///   - trust: whom the destination's report must come from.
  /// - Returns: the stream (`Formats/stream.md`): only the holder of the offer's private key can restore it.
  /// - Throws: what is wrong with the offer's report or certificates: `REPORT-…`, `CERT-…`.
  public consuming func send(
    to offer: MigrationOffer, trusting trust: MigrationTrust
  ) throws(MigrationError) -> [UInt8] {
    let output = CollectedOutput()
    let svsm = try SourceSVSM(
      instance: instance, guest: guest.trustedState(), validating: offer.data, trust: trust.trust,
      isMutual: true, random: .system)
    var vmm = try SourceVMM(guest: guest, svsm: svsm, output: output, crew: WorkCrew(jobs: 1))
    try vmm.sendGuest { _ in }
    _ = try vmm.commit()
    return output.bytes
  }
}

/// The destination of one migration: a new SVSM of the model.
///
/// A destination receives once. That is why `receive` consumes it, whatever comes of the stream.
public struct MigrationDestination: ~Copyable {
  private let instance: SVSMInstance

  public init() throws(MigrationError) {
    instance = try SVSMInstance(on: .model(chip: 0), features: .snp, random: .system)
  }

  /// What a source needs to send a guest here.
  public var offer: MigrationOffer { MigrationOffer(instance.offer) }

  /// Everything that `receive` checks, restoring nothing. The destination can still receive.
  public func verify(
    _ stream: [UInt8], trusting trust: MigrationTrust
  ) throws(MigrationError) -> MigrationVerdict {
    try MigrationVerdict(
      StreamVerifier(trust: trust.trust, crew: WorkCrew(jobs: 1)).verify(
        StreamInput(ArraySource(stream)), for: instance))
  }

  /// Restores the guest of a stream.
  /// - Throws: the first rule of `Formats/stream.md` that the stream breaks, with place and byte. Then there is
  ///   no guest, also not a part of one.
  public consuming func receive(
    _ stream: [UInt8], trusting trust: MigrationTrust
  ) throws(MigrationError) -> GuestImage {
    let instance = self.instance
    var vmm = DestinationVMM(StreamInput(ArraySource(stream)), crew: WorkCrew(jobs: 1))
    var memory: TemporaryMemory?
    let summary = try vmm.receive(
      begin: { (data, offset) throws(MigrationError) in
        try DestinationSVSM(
          instance: instance, transferData: data, trust: trust.trust, options: .init(), at: offset)
      },
      memory: { (blocks, _) throws(MigrationError) in
        let made = try TemporaryMemory(blockSizes: blocks.map(\.size))
        memory = made
        return made
      }, progress: { _ in })
    guard let memory else {
      throw MigrationError(.internal, "a guest was restored without memory")
    }
    return try GuestImage(summary.guest, in: memory)
  }
}

/// What verifying a stream came to.
public struct MigrationVerdict: Sendable {
  /// One property of a stream, and what is known of it.
  public struct Row: Sendable, Equatable {
    public enum Outcome: Sendable, Equatable {
      /// All of it was looked at, and nothing is wrong.
      case proven
      /// The findings, in the order of the stream.
      case refuted([MigrationError])
      /// Why it could not be looked at, and what would be needed.
      case notCheckable(reason: String, needs: String)
    }

    /// The stable name of the property, as `svsm-mig-verify` shows it.
    public let property: String
    public let outcome: Outcome
  }

  /// One for each property, in a fixed order.
  public let rows: [Row]
  /// What was refused first: what a destination refuses the stream with. Nil when nothing is wrong.
  public let refusal: MigrationError?

  /// Checks of a stream what anyone can: structure, order, counts, transcript, seal and attestation.
  /// - Parameter offer: the destination's, when it is at hand.
  /// - Throws: `INTERNAL`; what is wrong with the stream is in the verdict.
  public init(
    of stream: [UInt8], to offer: MigrationOffer? = nil, trusting trust: MigrationTrust
  ) throws(MigrationError) {
    self.init(
      try StreamVerifier(trust: trust.trust, crew: WorkCrew(jobs: 1)).verify(
        StreamInput(ArraySource(stream)), offer: offer?.data))
  }

  init(_ report: VerificationReport) {
    refusal = report.refusal
    rows = report.outcomes.map { entry in
      let outcome: Row.Outcome =
        switch entry.outcome {
        case .proven: .proven
        case .refuted(let refutations, more: _): .refuted(refutations.map(\.error))
        case .notCheckable(let reason, let needs):
          .notCheckable(reason: reason.description, needs: needs.description)
        }
      return Row(property: entry.property.rawValue, outcome: outcome)
    }
  }
}
