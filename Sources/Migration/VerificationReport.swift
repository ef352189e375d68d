public import Bytes

/// What a verifier says of a stream: one line for each property, and never more than was checked.
public struct VerificationReport: Sendable {
  /// What was verified.
  public enum Kind: String, Sendable {
    case snp
    case qemu
  }

  /// A property a stream can have.
  public enum Property: String, Sendable, CaseIterable {
    case structure
    case order
    case counts
    case transcript
    case seal
    case sealSigner = "seal-signer"
    case sourceAttestation = "source-attestation"
    case recipient
    case transportKey = "transport-key"
    case pageTags = "page-tags"
    case epochTokens = "epoch-tokens"
    case vcpus
    case services
    case pageStates = "page-states"
    case commit
    case freshness

    /// What holds when the property is proven of a stream of this kind.
    public func meaning(of kind: Kind) -> String {
      switch self {
      case .structure where kind == .qemu:
        "every record is well formed, to the last byte; every page of RAM came"
      case .order where kind == .qemu: "sections and their parts are in order"
      case .seal where kind == .qemu: "every byte, those of channels aside, is what was sealed"
      case .sealSigner where kind == .qemu: "the seal is signed by the key of the instance"
      case .structure: "every record is well formed, to the last byte"
      case .order: "sections, pages and epochs are in order; no page comes twice in an epoch"
      case .counts: "epoch tokens and commit count what is there"
      case .transcript: "epoch tokens and commit name the transcript of what is there"
      case .seal: "every byte is what was sealed"
      case .sealSigner: "the seal is signed by the key the session names as its source"
      case .sourceAttestation:
        "an SVSM at VMPL 0 on a platform under a trusted root made the session"
      case .recipient: "the stream is for this instance"
      case .transportKey: "the transport key unwraps"
      case .pageTags: "every private page authenticates, with its metadata"
      case .epochTokens: "every epoch token authenticates"
      case .vcpus: "every vCPU authenticates and passes the checks of an import"
      case .services: "every service's state authenticates"
      case .pageStates: "the trusted page-state map authenticates; pages are those it names"
      case .commit: "the commit authenticates: the stream is whole"
      case .freshness: "the stream was not loaded before"
      }
    }

    /// The property a refusal is about.
    init(_ code: ErrorCode) {
      let area = code.rawValue.prefix { $0 != "-" }
      switch (area, code) {
      case ("SEAL", .sealSigner), ("SEAL", .sealSignature): self = .sealSigner
      case ("SEAL", _): self = .seal
      case ("REPORT", _), ("CERT", _), (_, .sessionOneWay): self = .sourceAttestation
      case (_, .sessionRecipient): self = .recipient
      case (_, .sessionKey), (_, .sessionSeeded): self = .transportKey
      case (_, .pageTag): self = .pageTags
      case (_, .epochTag): self = .epochTokens
      case (_, .epochCount), (_, .commitTotals): self = .counts
      case (_, .epochTranscript), (_, .commitTranscript): self = .transcript
      case ("VCPU", _), (_, .finalTag), (_, .secretsPage): self = .vcpus
      case ("SERVICE", _): self = .services
      case ("MAP", _): self = .pageStates
      case (_, .commitTag): self = .commit
      case (_, .sectionOrder), (_, .sectionMissing), ("PAGE", _), ("EPOCH", _), (_, .finalOrder):
        self = .order
      default: self = .structure
      }
    }
  }

  public enum Outcome: Sendable, Equatable {
    case proven
    case refuted(MigrationError)
    /// Why it was not checked, and what would be needed.
    case notChecked(String)
  }

  public internal(set) var kind = Kind.snp
  /// Of a plain stream: SHA-256 of the public key whose signature on the seal is good.
  public internal(set) var signerHash: [UInt8]?
  /// In the order of `Property.allCases`.
  public let outcomes: [(property: Property, outcome: Outcome)]

  /// The refusal, when there is one.
  public var refusal: MigrationError? {
    for entry in outcomes { if case .refuted(let error) = entry.outcome { return error } }
    return nil
  }

  /// - Parameters:
  ///   - refusal: what was refused; nil when nothing was.
  ///   - isWhole: whether the pass went through all the same.
  ///   - proven: what a whole pass proves.
  ///   - needs: for a property this pass cannot prove, what would be needed.
  init(
    refusal: MigrationError?, isWhole: Bool, proven: Set<Property>, needs: (Property) -> String
  ) {
    let refuted = refusal.map { Property($0.code) }
    outcomes = Property.allCases.map { property in
      if let refusal, property == refuted { return (property, .refuted(refusal)) }
      guard proven.contains(property) else { return (property, .notChecked(needs(property))) }
      return (property, isWhole ? .proven : .notChecked("the stream was refused first"))
    }
  }
}
