package import Errors

/// One check of a verifier, and its outcome.
package struct AttestationCheck: Equatable, Sendable {
  /// Every check, in the order in which it is made. The raw value is stable and shown by tools.
  package enum Name: String, CaseIterable, Sendable {
    // The report by itself.
    case form = "report-form"
    case policyForm = "report-policy-form"
    case reserved = "report-reserved-bytes"
    case signingKey = "report-signing-key"
    case signatureForm = "report-signature-form"
    case requester = "report-requester"
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
    case revocation = "revocation"
    // The report under the chain: causes come before their effects. The key of another product,
    // chip or TCB is a different key, so the signature comes after those checks.
    case product = "product-agrees"
    case chip = "chip-agrees"
    case tcb = "reported-tcb-agrees"
    case signature = "report-signature"
    case tcbOrder = "tcb-order"
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

    /// What holds when the check has passed, as a clause. It must not be shown for a check that has
    /// not passed.
    package var meaning: String {
      switch self {
      case .form: "length and version of the report are known"
      case .policyForm: "the guest policy is well-formed"
      case .reserved: "reserved bytes are zero"
      case .signingKey: "the report names a VCEK or VLEK as its signer"
      case .signatureForm: "the signature is ECDSA P-384 with SHA-384, its numbers in range"
      case .requester: "a guest asked for the report, not the host"
      case .certificate: "a certificate of an endorsement key is present"
      case .issuer: "the certificate's issuer is supplied or known"
      case .root: "the chain ends in a trusted root"
      case .algorithms: "signatures are RSASSA-PSS with SHA-384, keys RSA 4096 above EC P-384"
      case .rootSigned: "the root is signed by itself"
      case .issuerSigned: "the issuer is signed by the root"
      case .leafSigned: "the certificate is signed by its issuer"
      case .authorities: "root and issuer may sign certificates"
      case .names: "names fit the root and the kind of key"
      case .extensions: "AMD's extensions are complete and single"
      case .dates: "all certificates are valid at the chosen time"
      case .revocation: "the root's revocation lists name neither root nor issuer"
      case .product: "report, certificate and root name no two products"
      case .chip: "the certificate is for the chip in the report"
      case .tcb: "the certificate is for the reported TCB"
      case .signature: "the certified key signed the report"
      case .tcbOrder: "reported <= committed <= current TCB, launch <= current; so of firmware"
      case .signerAllowed: "this kind of signing key is accepted"
      case .vmpl: "the report was requested from the expected privilege level"
      case .debug: "the host cannot debug the guest"
      case .migrationAgent: "no firmware migration agent is associated, or may be"
      case .reportData: "the report carries the expected data"
      case .measurement: "the guest was launched from an accepted image"
      case .minimumTCB: "the reported TCB is new enough"
      case .launchTCB: "the TCB at launch was new enough"
      case .committedTCB: "the platform's firmware cannot be rolled back"
      case .guestPolicy: "the guest's policy is strict enough"
      case .guestSVN: "the guest's security version is new enough"
      case .identity: "the guest has the expected family, image and report IDs"
      case .hostData: "the guest was launched with the expected host data"
      case .idKey: "an accepted ID key signed the guest's identity"
      case .authorKey: "an accepted author key signed the ID key"
      case .chipWelcome: "the chip is accepted"
      case .platformInfo: "the platform is set up as demanded"
      case .firmware: "current and committed firmware are new enough"
      case .mitigations: "demanded mitigations are in force, and were at launch"
      }
    }

    /// What a check is about.
    enum Subject {
      /// An encoding, or a signature itself.
      case form
      /// Statements in certificates.
      case chain
      /// Statements in the report.
      case report
    }

    var subject: Subject {
      switch self {
      case .form, .policyForm, .reserved, .signingKey, .signatureForm, .certificate, .issuer,
        .rootSigned, .issuerSigned, .leafSigned, .signature:
        .form
      case .root, .algorithms, .authorities, .names, .extensions, .dates, .revocation: .chain
      case .requester, .product, .chip, .tcb, .tcbOrder, .signerAllowed, .vmpl, .debug,
        .migrationAgent, .reportData, .measurement, .minimumTCB, .launchTCB, .committedTCB,
        .guestPolicy, .guestSVN, .identity, .hostData, .idKey, .authorKey, .chipWelcome,
        .platformInfo, .firmware, .mitigations:
        .report
      }
    }

    /// The question that the check answers, whatever the outcome.
    package var question: String { "whether \(meaning)" }
  }

  /// The outcome of one check.
  package enum Outcome: Equatable, Sendable {
    case passed
    case failed(MigrationError)
    /// The caller does not demand it, or it does not apply; the text tells which.
    case notAsked(String)
    /// An earlier failure left nothing to check.
    case notReached
  }

  package let name: Name
  package let outcome: Outcome

  package var isFailure: Bool { if case .failed = outcome { true } else { false } }
}
