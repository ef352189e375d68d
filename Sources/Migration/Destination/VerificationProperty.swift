internal import Errors
internal import QEMUStream
internal import SVSM

extension VerificationReport {
  /// A property that a stream can have. Its raw value is stable and shown by tools.
  package enum Property: String, Sendable, CaseIterable {
    case structure
    case order
    case counts
    case transcript
    case seal
    case sealSigner = "seal-signer"
    case sourceAttestation = "source-attestation"
    case destinationAttestation = "destination-attestation"
    case keyBinding = "key-binding"
    case recipient
    case transportKey = "transport-key"
    case pageTags = "page-tags"
    case pageSequence = "page-sequence"
    case epochOrder = "epoch-order"
    case epochTags = "epoch-tags"
    case pageStates = "page-states"
    case vcpus
    case svsmState = "svsm-state"
    case machineState = "machine-state"
    case commit
    case freshness

    /// Whether what is verified can have the property.
    /// - Parameter dialect: of a confidential guest's stream, where it is known.
    func exists(in kind: Kind, _ dialect: ConfidentialDialect?) -> Bool {
      switch (kind, self) {
      case (.snp, _): true
      case (.file, .seal), (.file, .sealSigner): true
      case (.file, _): false
      case (.qemu, .structure), (.qemu, .order), (.qemu, .seal), (.qemu, .sealSigner): true
      case (.qemu, _): false
      case (.confidential, .transcript), (.confidential, .svsmState),
        (.confidential, .machineState), (.confidential, .freshness):
        false
      case (.confidential, .epochTags), (.confidential, .commit): dialect ?? .intelTDX == .intelTDX
      case (.confidential, _): true
      }
    }

    /// The question that the property answers, whatever the outcome.
    package func question(of kind: Kind) -> String { "whether \(meaning(of: kind))" }

    /// What holds when the property is proven for a stream of this kind. It must not be shown for a
    /// property that is not proven.
    package func meaning(of kind: Kind) -> String {
      switch self {
      case .structure where kind != .snp: "every record is well formed and all RAM is present"
      case .order where kind == .confidential: "sections, pages, lists and states are in order"
      case .order where kind == .qemu: "sections and their parts are in order"
      case .seal where kind == .file: "every byte of the file matches the seal"
      case .seal where kind != .snp: "every byte of the main stream matches the seal"
      case .sealSigner where kind != .snp: "the seal is signed by the key of the signer"
      case .counts where kind == .confidential: "the counts in epoch tokens match the bundles"
      case .pageSequence where kind == .confidential: "no bundle is missing, repeated or moved"
      case .structure: "every record is well formed, to the last byte"
      case .order: "sections and final records are in order"
      case .counts: "the counts in epoch tokens and commit match the records"
      case .transcript: "the transcripts in tokens and commit match the records"
      case .seal: "every byte matches the seal"
      case .sealSigner: "the seal is signed by the key the session names"
      case .sourceAttestation: "an SVSM under a trusted root made the session"
      case .destinationAttestation: "an SVSM under a trusted root made the offer"
      case .keyBinding: "the reports bind session, offer and their keys"
      case .recipient: "the session answers this destination's offer"
      case .transportKey: "the transport key unwraps"
      case .pageTags: "every private page authenticates, with its metadata"
      case .pageSequence: "no page record is missing, repeated or moved"
      case .epochOrder: "epochs are in order, and no page is repeated within an epoch"
      case .epochTags: "every epoch token authenticates"
      case .pageStates: "the trusted page-state map matches the pages of the stream"
      case .vcpus: "all vCPUs are present, authentic and allowed to run"
      case .svsmState: "all services and the secrets page are present and authentic"
      case .machineState: "the device state is complete"
      case .commit: "the source's commit authenticates"
      case .freshness: "the destination has not served a migration"
      }
    }

    /// Properties that only the keys of the destination can show.
    static let keyed: Set<Property> = [
      .transportKey, .pageTags, .epochTags, .pageStates, .vcpus, .svsmState, .machineState,
      .commit, .freshness,
    ]

    /// The property that a refusal is about.
    init(of error: MigrationError) {
      let area = error.code.rawValue.prefix { $0 != "-" }
      switch (area, error.code) {
      case ("SEAL", .sealSigner), ("SEAL", .sealSignature): self = .sealSigner
      case ("SEAL", _): self = .seal
      case (_, .reportData): self = .keyBinding
      case ("REPORT", _), ("CERT", _), (_, .sessionOneWay): self = .sourceAttestation
      case (_, .sessionRecipient): self = .recipient
      case (_, .sessionKey): self = .transportKey
      case (_, .pageTag): self = .pageTags
      case (_, .pageSequence): self = .pageSequence
      case (_, .epochTag): self = .epochTags
      case (_, .pageEpoch), (_, .pageRepeated), (_, .pageOperation), (_, .epochOrder):
        self = .epochOrder
      case (_, .epochCount), (_, .commitTotals): self = .counts
      case (_, .epochTranscript), (_, .commitTranscript): self = .transcript
      case (_, .finalTag): self = Self.of(finalRecordAt: error.place)
      case ("VCPU", _): self = .vcpus
      case ("SERVICE", _), (_, .secretsPage): self = .svsmState
      case (_, .machineSyntax): self = .machineState
      case (_, .guestMap): self = error.place == .pages ? .pageStates : .structure
      case (_, .guestShape): self = error.place == .ram ? .structure : .pageStates
      case ("MAP", _): self = .pageStates
      case (_, .commitTag): self = .commit
      case (_, .sectionOrder), (_, .sectionMissing), (_, .finalOrder): self = .order
      default: self = .structure
      }
    }

    /// The property to which final records of `kind` belong.
    static func of(_ kind: FinalRecord.Kind) -> Property {
      switch kind {
      case .vcpu: .vcpus
      case .pageStates: .pageStates
      case .service, .secrets: .svsmState
      }
    }

    /// The property to which final records at `place` belong.
    private static func of(finalRecordAt place: Place?) -> Property {
      guard case .final(let kind) = place.flatMap({ SectionName($0.name) }).flatMap(SNPSection.init)
      else { return .svsmState }
      return of(kind)
    }
  }
}
