internal import Cryptography
public import Errors
internal import Guest
internal import Migration
internal import QEMUStream
internal import SEVSNP
internal import SVSM
internal import Threads
internal import Wire

/// The root certificates that a party of a migration trusts when it verifies the other party's
/// attestation report.
public struct MigrationTrust: Sendable {
  let trust: Trust

  /// Trusts AMD's roots and those in `roots`. This is for peers on real hardware.
  /// - Parameters:
  ///   - roots: additional certificates in DER or PEM, which include the root of each chain.
  ///   - time: seconds since 1970 at which certificates must be valid.
  /// - Throws: `CERT-SYNTAX`, `CERT-ROOT`.
  public init(roots: [UInt8] = [], at time: Int64) throws(MigrationError) {
    let named = roots.isEmpty ? [] : try TrustAnchor.named(X509Certificate.read(roots))
    trust = Trust(anchors: TrustAnchor.amd + named, time: time)
  }

  private init(_ trust: Trust) { self.trust = trust }

  /// Trusts the roots of the model's platforms. Their private keys are public, so this proves
  /// nothing about real hardware.
  /// - Parameter time: seconds since 1970 at which certificates must be valid.
  public static func model(at time: Int64) -> MigrationTrust {
    MigrationTrust(Trust(anchors: TrustAnchor.model, time: time))
  }
}

/// An offer, which a destination publishes: its public key, an attestation report that binds the
/// key, and certificates to verify the report. AMD's document calls it migration data.
public struct MigrationOffer: Sendable {
  let data: MigrationData

  /// The bytes to publish (`Formats/migration-data.md`, section 1).
  public var bytes: [UInt8] { data.encoded }

  /// Reads an offer. The report is not verified here: the source does that.
  /// - Throws: `OFFER-SYNTAX`, `OFFER-VERSION`, `OFFER-SUITE`.
  public init(_ bytes: [UInt8]) throws(MigrationError) { data = try MigrationData(bytes) }

  init(_ data: MigrationData) { self.data = data }
}

/// The source of one migration: a guest, and a new model SVSM that holds it.
///
/// A source sends only once: a guest that has been handed over must not be sent again. So `send`
/// consumes the source.
public struct MigrationSource: ~Copyable {
  private let guest: GuestReader
  private let instance: SVSMInstance

  /// Makes a source for a guest.
  /// - Throws: for an invalid guest: `GUEST-SHAPE`, `MAP-LAYOUT`, `RAM-BLOCK`, `VCPU-SYNTAX`,
  ///   `VCPU-VMPL`.
  public init(of guest: GuestImage) throws(MigrationError) {
    let reader = try guest.reader()
    let instance = try SVSMInstance(on: .model(chip: 1), features: .snp, random: .system)
    (self.guest, self.instance) = (reader, instance)
  }

  /// Verifies the offer, and makes the stream that sends the guest to the destination of the offer.
  /// - Parameters:
  ///   - offer: the offer of the destination.
  ///   - trust: the roots under which the destination's report must verify.
  /// - Returns: the stream (`Formats/stream.md`). Only the holder of the offer's private key can
  ///   restore it.
  /// - Throws: for the offer's report or certificates: `REPORT-…`, `CERT-…`; for its key:
  ///   `OFFER-KEY`.
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

/// The destination of one migration: a new model SVSM.
///
/// A destination receives only once, whether or not the stream is accepted. So `receive` consumes
/// it.
public struct MigrationDestination: ~Copyable {
  private let instance: SVSMInstance

  /// Makes a new SVSM with its key pair and offer, on a platform of the model.
  /// - Throws: `INTERNAL-CRYPTOGRAPHY`.
  public init() throws(MigrationError) {
    instance = try SVSMInstance(on: .model(chip: 0), features: .snp, random: .system)
  }

  /// The offer that a source needs to send a guest to this destination.
  public var offer: MigrationOffer { MigrationOffer(instance.offer) }

  /// Makes all checks of `receive` without restoring anything. The destination can still receive
  /// afterwards.
  public func verify(
    _ stream: [UInt8], trusting trust: MigrationTrust
  ) throws(MigrationError) -> MigrationVerdict {
    try MigrationVerdict(
      StreamVerifier(trust: trust.trust, crew: WorkCrew(jobs: 1)).verify(
        StreamInput(ArraySource(stream)), for: instance))
  }

  /// Restores the guest of a stream.
  /// - Throws: the first rule of `Formats/stream.md` that the stream breaks, with place and byte.
  ///   In that case nothing is restored, not even a part of the guest.
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
      memory: { (incoming) throws(MigrationError) in
        let made = try TemporaryMemory(blockSizes: incoming.blocks.map(\.size))
        memory = made
        return made
      }, progress: { _ in })
    guard let memory else {
      throw MigrationError(.internal, "a guest was restored without memory")
    }
    return try GuestImage(summary.guest, in: memory)
  }
}

/// The result of verifying a stream.
public struct MigrationVerdict: Sendable {
  /// One property of a stream, and whether it holds.
  public struct Row: Sendable, Equatable {
    /// The outcome of checking one property.
    public enum Outcome: Sendable, Equatable {
      /// All of it was checked, and nothing is wrong.
      case proven
      /// Something is wrong: the findings, in stream order.
      case refuted([MigrationError])
      /// Not all of it could be checked: why, and what would be needed.
      case notCheckable(reason: String, needs: String)
    }

    /// The stable name of the property, as `svsm-mig-verify` prints it.
    public let property: String
    /// Whether the property is proven, refuted or not checkable.
    public let outcome: Outcome
  }

  /// One row for each property, in a fixed order.
  public let rows: [Row]
  /// The first finding, which is the error with which a destination refuses the stream. Nil when
  /// nothing is wrong.
  public let refusal: MigrationError?

  /// Checks everything in a stream that can be checked without keys: structure, order, counts,
  /// transcript, seal and attestation.
  /// - Parameter offer: the destination's offer, if available.
  /// - Throws: `INTERNAL`. Errors in the stream are in the verdict.
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
