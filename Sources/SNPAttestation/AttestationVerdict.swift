internal import Cryptography
public import Errors
internal import SEVSNP

/// Decides whether attestation reports are genuine and fit what is demanded.
///
/// Trust comes from named roots alone: certificates that come with a report may complete a chain, and never
/// anchor it.
public struct SNPVerifier: Sendable {
  private var verifier: AttestationVerifier

  /// - Parameters:
  ///   - roots: certificates in DER or PEM, among them the root of each chain, beside AMD's roots.
  ///   - revocationLists: lists in DER or PEM that each chain is held against; with none, revocation is not
  ///     checked.
  ///   - time: seconds since 1970 at which certificates must be valid; nil for the time when each was issued.
  ///   - demands: what a report must say beyond being genuine.
  /// - Throws: `CERT-SYNTAX`, `CERT-ROOT`.
  public init(
    roots: [UInt8] = [], revocationLists: [[UInt8]] = [], at time: Int64?,
    demanding demands: SNPDemands = SNPDemands()
  ) throws(MigrationError) {
    let named = roots.isEmpty ? [] : try TrustAnchor.named(X509Certificate.read(roots))
    var lists: [X509RevocationList] = []
    for list in revocationLists { lists += try X509RevocationList.read(list) }
    verifier = AttestationVerifier(
      trust: TrustAnchor.amd + named, requirements: demands.requirements,
      time: time.map { .at($0) } ?? .atIssue, revocationLists: lists)
  }

  /// Makes every check that can be made.
  /// - Parameter certificates: more certificates of the chain, in DER or PEM or a certificate table, beside
  ///   those that came with the report.
  /// - Throws: `CERT-SYNTAX`, `CERT-TABLE` for certificates that cannot be read. What is wrong with the report is
  ///   in the verdict.
  public func verify(
    _ report: SNPReport, certificates: [UInt8] = []
  ) throws(MigrationError) -> SNPVerdict {
    var supplied = report.supplied
    if !certificates.isEmpty { supplied.append(try SuppliedCertificates(file: certificates)) }
    return SNPVerdict(verifier.verify(report: report.bytes, supplied: supplied))
  }
}

/// What verifying a report came to.
public struct SNPVerdict: Sendable {
  /// One check, and how it came out.
  public struct Check: Sendable, Equatable {
    public enum Outcome: Sendable, Equatable {
      case passed
      case failed(MigrationError)
      /// It was not demanded, or does not apply; the text says which.
      case notAsked(String)
      /// An earlier failure left nothing to check.
      case notReached
    }

    /// The stable name, as `svsm-mig-attest verify` shows it.
    public let name: String
    /// What holds when it has passed: a clause.
    public let meaning: String
    public let outcome: Outcome
  }

  /// Every check, in the order in which they are made.
  public let checks: [Check]
  /// Whether every check passed that was asked for.
  public let isAccepted: Bool
  /// Whether the chain besides ends in a root of AMD's. A report that is accepted under another root says
  /// nothing of hardware.
  public let isGenuine: Bool
  /// The first failure; nil when there is none.
  public let firstFailure: MigrationError?

  init(_ result: AttestationResult) {
    checks = result.checks.map { check in
      let outcome: Check.Outcome =
        switch check.outcome {
        case .passed: .passed
        case .failed(let error): .failed(error)
        case .notAsked(let why): .notAsked(why)
        case .notReached: .notReached
        }
      return Check(name: check.name.rawValue, meaning: check.name.meaning, outcome: outcome)
    }
    isAccepted = result.isAccepted
    isGenuine = result.isGenuine
    firstFailure = result.firstFailure
  }
}
