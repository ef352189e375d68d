internal import Cryptography
public import Errors
internal import SEVSNP

/// Verifies that attestation reports are genuine and meet a set of demands.
///
/// Trust comes only from AMD's roots and from roots that the caller names: certificates that come
/// with a report may complete a chain, but never anchor it.
public struct SNPVerifier: Sendable {
  private var verifier: AttestationVerifier

  /// - Parameters:
  ///   - roots: certificates in DER or PEM, in addition to AMD's roots; they include the root of
  ///     each chain.
  ///   - revocationLists: lists in DER or PEM, against which each chain is checked; when empty,
  ///     revocation is not checked.
  ///   - time: seconds since 1970 at which certificates must be valid; nil for the time at which
  ///     each was issued.
  ///   - demands: the demands that a report must meet in addition to being genuine.
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

  /// Verifies a report, and makes as many of the checks as possible.
  /// - Parameter certificates: more certificates of the chain, in DER or PEM or a certificate
  ///   table, in addition to those that came with the report.
  /// - Throws: `CERT-SYNTAX`, `CERT-TABLE` for certificates that cannot be read. Errors in the
  ///   report are in the verdict.
  public func verify(
    _ report: SNPReport, certificates: [UInt8] = []
  ) throws(MigrationError) -> SNPVerdict {
    var supplied = report.supplied
    if !certificates.isEmpty { supplied.append(try SuppliedCertificates(file: certificates)) }
    return SNPVerdict(verifier.verify(report: report.bytes, supplied: supplied))
  }
}

/// The result of verifying a report.
public struct SNPVerdict: Sendable {
  /// One check and its outcome.
  public struct Check: Sendable, Equatable {
    /// The outcome of one check.
    public enum Outcome: Sendable, Equatable {
      case passed
      case failed(MigrationError)
      /// The check was not demanded, or does not apply; the text says which.
      case notAsked(String)
      /// The check could not be made because of an earlier failure.
      case notReached
    }

    /// The stable name of the check, as `svsm-mig-attest verify` prints it.
    public let name: String
    /// A clause that says what holds when the check has passed.
    public let meaning: String
    /// Whether the check passed, failed or was not made.
    public let outcome: Outcome
  }

  /// All checks, in the order in which they are made.
  public let checks: [Check]
  /// Whether all demanded checks passed.
  public let isAccepted: Bool
  /// Whether the report is accepted and its chain ends in one of AMD's roots. A report that is
  /// accepted under another root proves nothing about hardware.
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
