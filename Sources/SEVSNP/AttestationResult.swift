public import Bytes
public import Cryptography

/// One thing a verifier looks at, and how it came out.
public struct AttestationCheck: Equatable, Sendable {
  /// Every check, in the order it is made; the raw value is stable and shown by tools.
  public enum Name: String, CaseIterable, Sendable {
    // The report by itself.
    case form = "report-form"
    case policyForm = "report-policy-form"
    case reserved = "report-reserved-bytes"
    case signingKey = "report-signing-key"
    case signatureForm = "report-signature-form"
    // The chain.
    case certificate = "certificate-present"
    case issuer = "issuer-present"
    case root = "root-trusted"
    case algorithms = "certificate-algorithms"
    case rootSigned = "root-signs-itself"
    case issuerSigned = "root-signs-issuer"
    case leafSigned = "issuer-signs-certificate"
    case authorities = "authority-rights"
    case names = "certificate-names"
    case extensions = "certificate-extensions"
    case dates = "certificate-dates"
    case product = "product-agrees"
    // The report under the chain.
    case signature = "report-signature"
    case tcb = "reported-tcb-agrees"
    case tcbOrder = "tcb-order"
    case chip = "chip-agrees"
    // What the caller demands.
    case signerAllowed = "signer-allowed"
    case vmpl = "vmpl"
    case debug = "debug-off"
    case migrationAgent = "migration-agent-off"
    case reportData = "report-data"
    // What a policy demands.
    case measurement = "measurement"
    case minimumTCB = "minimum-tcb"
    case launchTCB = "launch-tcb"
    case committedTCB = "committed-tcb"
    case guestPolicy = "guest-policy"
    case guestSVN = "guest-svn"
    case identity = "identity"
    case hostData = "host-data"
    case idKey = "id-key"
    case authorKey = "author-key"
    case chipWelcome = "chip-welcome"
    case platformInfo = "platform-info"
    case firmware = "firmware"
    case mitigations = "mitigations"

    /// What it establishes, one clause.
    public var meaning: String {
      switch self {
      case .form: "a report of a known length and version"
      case .policyForm: "the guest policy is well-formed"
      case .reserved: "reserved bytes are zero"
      case .signingKey: "a VCEK or VLEK signed"
      case .signatureForm: "ECDSA P-384 with SHA-384, numbers in range"
      case .certificate: "the signing key's certificate is there"
      case .issuer: "the certificate's issuer is known"
      case .root: "the chain ends in a trusted root"
      case .algorithms: "RSASSA-PSS with SHA-384, RSA 4096 above EC P-384"
      case .rootSigned: "the root is signed by itself"
      case .issuerSigned: "the issuer is signed by the root"
      case .leafSigned: "the certificate is signed by its issuer"
      case .authorities: "root and issuer may sign certificates"
      case .names: "names fit the root and the kind of key"
      case .extensions: "AMD's extensions are complete and single"
      case .dates: "all certificates are valid at the chosen time"
      case .product: "report, certificate and root speak of one product"
      case .signature: "the certified key signed the report"
      case .tcb: "the certificate is for the reported TCB"
      case .tcbOrder: "reported <= committed <= current TCB, launch <= current"
      case .chip: "the certificate is for the chip in the report"
      case .signerAllowed: "this kind of signing key is welcome"
      case .vmpl: "requested from the expected privilege level"
      case .debug: "the host cannot debug the guest"
      case .migrationAgent: "no firmware migration agent is associated"
      case .reportData: "the report carries the expected data"
      case .measurement: "the guest was launched from a welcome image"
      case .minimumTCB: "the reported TCB is new enough"
      case .launchTCB: "the TCB at launch was new enough"
      case .committedTCB: "the platform's firmware cannot be rolled back"
      case .guestPolicy: "the guest's policy is strict enough"
      case .guestSVN: "the guest's security version is new enough"
      case .identity: "the guest is of the expected family and image"
      case .hostData: "the guest was launched with the expected host data"
      case .idKey: "a welcome ID key signed the guest's identity"
      case .authorKey: "a welcome author key signed the ID key"
      case .chipWelcome: "the chip is welcome"
      case .platformInfo: "the platform is set up as demanded"
      case .firmware: "current and committed firmware are new enough"
      case .mitigations: "demanded mitigations are in force, and were at launch"
      }
    }
  }

  public enum Outcome: Equatable, Sendable {
    case passed
    case failed(MigrationError)
    /// The caller does not ask for it, or it does not apply; the text says which.
    case notAsked(String)
    /// An earlier failure left nothing to check.
    case notReached
  }

  public let name: Name
  public let outcome: Outcome

  public var isFailure: Bool { if case .failed = outcome { true } else { false } }
}

/// Everything a verifier found out about a report.
public struct AttestationResult: Sendable {
  /// One for each name, in order.
  public internal(set) var checks: [AttestationCheck]
  /// nil when the bytes are no report at all.
  public let report: AttestationReport?
  /// Known once the certificate's extensions are read; the layout of TCB versions follows it.
  public let product: Product?
  /// The root the chain ends in, once all signatures of the chain are good.
  public let anchor: TrustAnchor?
  /// Leaf, issuer and root, as far as found.
  public let chain: [X509Certificate]
  /// The leaf's extensions, once read.
  public let endorsement: EndorsementExtensions?

  /// True when every check passed that is asked for.
  public var isAccepted: Bool {
    checks.count == AttestationCheck.Name.allCases.count
      && checks.allSatisfy { check in
        switch check.outcome {
        case .passed, .notAsked: true
        case .failed, .notReached: false
        }
      }
  }

  /// True when the chain ends in a genuine AMD root. An accepted report under another root shows
  /// the mechanics and proves nothing about hardware.
  public var isGenuine: Bool { isAccepted && anchor?.product != nil }

  /// The first failure, or nil.
  public var firstFailure: MigrationError? {
    for check in checks {
      if case .failed(let error) = check.outcome { return error }
    }
    return nil
  }

  /// The report, if accepted.
  /// - Throws: the first failure.
  @discardableResult
  public func requireAccepted() throws(MigrationError) -> AttestationReport {
    if let firstFailure { throw firstFailure }
    guard isAccepted, let report else {
      throw MigrationError(.internal, "an attestation check was not made")
    }
    return report
  }
}

/// Collects the outcome of each check.
struct AttestationLedger {
  private var outcomes: [AttestationCheck.Name: AttestationCheck.Outcome] = [:]

  /// Makes one check; nil when it fails.
  @discardableResult
  mutating func check<Found>(
    _ name: AttestationCheck.Name, _ body: () throws(MigrationError) -> Found
  ) -> Found? {
    do throws(MigrationError) {
      let found = try body()
      outcomes[name] = .passed
      return found
    } catch {
      outcomes[name] = .failed(error)
      return nil
    }
  }

  mutating func notAsked(_ name: AttestationCheck.Name, _ why: String) {
    outcomes[name] = .notAsked(why)
  }

  func passed(_ name: AttestationCheck.Name) -> Bool { outcomes[name] == .passed }

  var checks: [AttestationCheck] {
    AttestationCheck.Name.allCases.map { name in
      AttestationCheck(name: name, outcome: outcomes[name] ?? .notReached)
    }
  }
}
