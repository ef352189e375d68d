package import Cryptography
package import Errors
internal import Wire

/// All results of a verifier for one report.
package struct AttestationResult: Sendable {
  /// One check for each name, in order.
  package internal(set) var checks: [AttestationCheck]
  /// nil when the bytes are not a report.
  package let report: AttestationReport?
  /// Known once the certificate's extensions were read. It determines the layout of TCB versions.
  package let product: Product?
  /// The root in which the chain ends, if all signatures of the chain are good.
  package let anchor: TrustAnchor?
  /// Leaf, issuer and root, as far as they were found.
  package let chain: [X509Certificate]
  /// The leaf's extensions, if they were read.
  package let endorsement: EndorsementExtensions?

  /// Whether every check passed that was demanded and applies.
  package var isAccepted: Bool {
    checks.count == AttestationCheck.Name.allCases.count
      && checks.allSatisfy { check in
        switch check.outcome {
        case .passed, .notAsked: true
        case .failed, .notReached: false
        }
      }
  }

  /// Whether the report is accepted and its chain ends in a genuine AMD root. An accepted report
  /// under another root shows the mechanics of attestation and proves nothing about hardware.
  package var isGenuine: Bool { isAccepted && anchor?.product != nil }

  /// Index of the first check that failed; the number of checks when none failed.
  var failurePlace: Int { checks.firstIndex(where: \.isFailure) ?? checks.count }

  /// Whether what a check read is covered by good signatures: statements in certificates by those
  /// of the chain; statements in the report by its own signature, under a chain without a failed
  /// check. What is not covered may have been written by anyone.
  package func isVouched(_ check: AttestationCheck) -> Bool {
    switch check.name.subject {
    case .form: true
    case .chain: anchor != nil
    case .report:
      anchor != nil
        && checks.allSatisfy { other in
          switch other.name.subject {
          case .chain: !other.isFailure
          case .form, .report: other.name != .signature || other.outcome == .passed
          }
        }
    }
  }

  /// The first failure; nil when there is none.
  package var firstFailure: MigrationError? {
    for check in checks {
      if case .failed(let error) = check.outcome { return error }
    }
    return nil
  }

  /// The report, if it is accepted.
  /// - Throws: the first failure.
  @discardableResult
  package func requireAccepted() throws(MigrationError) -> AttestationReport {
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

  /// Makes one check. Returns nil when it fails.
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
