package import Cryptography
package import Errors
internal import Wire

/// Everything a verifier found out about a report.
package struct AttestationResult: Sendable {
  /// One for each name, in order.
  package internal(set) var checks: [AttestationCheck]
  /// nil when the bytes are no report at all.
  package let report: AttestationReport?
  /// Known once the certificate's extensions are read; the layout of TCB versions follows it.
  package let product: Product?
  /// The root the chain ends in, once all signatures of the chain are good.
  package let anchor: TrustAnchor?
  /// Leaf, issuer and root, as far as found.
  package let chain: [X509Certificate]
  /// The leaf's extensions, once read.
  package let endorsement: EndorsementExtensions?

  /// True when every check passed that is asked for.
  package var isAccepted: Bool {
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
  package var isGenuine: Bool { isAccepted && anchor?.product != nil }

  /// Place of the first check that failed; the number of checks when none did.
  var failurePlace: Int { checks.firstIndex(where: \.isFailure) ?? checks.count }

  /// Whether what a check says rests on good signatures: what a certificate says on those of its chain,
  /// what the report says on its own under a chain that nothing is wrong with. Where it rests on none,
  /// anybody may have written what the check read.
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

  /// The first failure, or nil.
  package var firstFailure: MigrationError? {
    for check in checks {
      if case .failed(let error) = check.outcome { return error }
    }
    return nil
  }

  /// The report, if accepted.
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
