package import Errors
package import QEMUStream

/// What a verifier says of a stream: a ledger with one entry for each property, and never more than was
/// looked at.
package struct VerificationReport: Sendable {
  /// What was verified.
  package enum Kind: String, Sendable {
    case snp
    case qemu
    /// A stream of a confidential guest that a fork of QEMU wrote.
    case confidential
  }

  /// One thing that is wrong, and the rule it breaks.
  package struct Refutation: Sendable, Equatable {
    package var error: MigrationError
    package var clause: Clause
  }

  package enum Outcome: Sendable, Equatable {
    /// All of it was looked at, and nothing is wrong.
    case proven
    /// The first findings, in the order they were met, and how many more there are.
    case refuted([Refutation], more: UInt64)
    /// Why it was not looked at, or not at all of it; and what would be needed.
    case notCheckable(reason: Wording, needs: Wording)
  }

  /// Findings of one property that are kept.
  package static let limit = 16

  package let kind: Kind
  /// Of a plain stream: SHA-256 of the public key whose signature on the seal is good.
  package let signerHash: [UInt8]?
  /// In the order of `Property.allCases`.
  package let outcomes: [(property: Property, outcome: Outcome)]
  /// What was refused first: what a load refuses the stream with.
  package let refusal: MigrationError?
  /// nil of a stream that has no reports.
  package internal(set) var revocation: Revocation?
  /// Of a confidential guest's stream: which fork wrote it.
  package internal(set) var dialect: ConfidentialDialect?

  /// Whether the chains of a stream's reports were held against revocation lists.
  package enum Revocation: Sendable {
    /// Each of them was, against one of its root.
    case checked
    case noList
    /// Lists are there. A chain is not, or ends before a root whose list could be asked.
    case noChain
  }

  /// How `property` came out.
  package func outcome(of property: Property) -> Outcome? {
    outcomes.first { $0.property == property }?.outcome
  }
}

/// Collects what a pass over a stream finds, in memory that does not grow with it.
final class FindingLedger {
  typealias Property = VerificationReport.Property

  private var kind: VerificationReport.Kind
  /// Whether the first finding ends the pass.
  let stopsAtFirst: Bool
  /// The first finding.
  private(set) var first: MigrationError?
  private var found: [Property: (kept: [VerificationReport.Refutation], more: UInt64)] = [:]
  private var obstructions: [Property: (reason: Wording, needs: Wording)] = [:]
  private var looked: Set<Property> = []
  /// While records before them are judged still, what a reader finds waits here.
  private var held: [MigrationError] = []
  /// Whether what a reader finds waits.
  var isHolding = false

  init(_ kind: VerificationReport.Kind, stopsAtFirst: Bool) {
    (self.kind, self.stopsAtFirst) = (kind, stopsAtFirst)
  }

  /// Notes what is wrong.
  /// - Parameter property: what it is wrong with; nil to go by the code.
  /// - Throws: `error` when the pass has to end: what is no refusal, or the first one.
  func note(_ error: MigrationError, about property: Property? = nil) throws(MigrationError) {
    guard error.code.isRefusal, !hasStopped else { throw error }
    if first == nil { first = error }
    let property = property ?? Property(of: error)
    var entry = found[property] ?? ([], 0)
    if entry.kept.count < VerificationReport.limit {
      let clause = error.code.clause(in: error.place, isPlain: kind != .snp)
      entry.kept.append(
        .init(error: error, clause: kind == .confidential ? clause.ofDialect : clause))
    } else {
      entry.more += 1
    }
    found[property] = entry
    if stopsAtFirst { throw error }
  }

  /// Notes what a load refuses because it is not known, which proves nothing wrong: `property` cannot
  /// be checked.
  /// - Throws: `error` when the pass has to end.
  func note(
    _ error: MigrationError, unknownTo property: Property, reason: Wording, needs: Wording
  ) throws(MigrationError) {
    if first == nil { first = error }
    obstruct(property, reason: reason, needs: needs)
    if stopsAtFirst { throw error }
  }

  /// The stream turns out to be a confidential guest's.
  func isOfDialect() { kind = .confidential }

  /// Notes what breaks a rule of a dialect.
  func noteOfDialect(_ error: MigrationError) throws(MigrationError) {
    isOfDialect()
    try note(error)
  }

  /// Whether the pass is to end: then a refusal that is thrown was noted.
  var hasStopped: Bool { stopsAtFirst && first != nil }

  /// Notes what a reader found, or holds it back.
  func noteRead(_ error: MigrationError) throws(MigrationError) {
    if isHolding { held.append(error) } else { try note(error) }
  }

  /// Whether something was held back.
  var holdsSome: Bool { !held.isEmpty }

  /// Notes what was held back.
  func release() throws(MigrationError) {
    if held.isEmpty { return }
    let errors = held
    held = []
    for error in errors { try note(error) }
  }

  /// Notes more findings like the last that was kept.
  func noteMore(_ count: UInt64, about property: Property) {
    found[property]?.more += count
  }

  /// Whether something is wrong with `property`.
  func isRefuted(_ property: Property) -> Bool { found[property] != nil }

  /// Whether `property` is refuted, or known not to be checkable.
  func isOpen(_ property: Property) -> Bool { isRefuted(property) || obstructions[property] != nil }

  /// A part of the properties could not be looked at: they are not proven any more.
  func obstruct(_ properties: Property..., reason: Wording, needs: Wording) {
    for property in properties where obstructions[property] == nil {
      obstructions[property] = (reason, needs)
    }
  }

  /// All of the properties was looked at.
  func look(at properties: Property...) { looked.formUnion(properties) }

  /// - Parameter why: of a property that was not looked at: why, and what would be needed.
  func report(
    signerHash: [UInt8]? = nil, why: (Property) -> (reason: Wording, needs: Wording)
  ) -> VerificationReport {
    let outcomes = Property.allCases.map {
      property -> (property: Property, outcome: VerificationReport.Outcome) in
      if let entry = found[property] {
        return (property, .refuted(entry.kept, more: entry.more))
      }
      if let open = obstructions[property] {
        return (property, .notCheckable(reason: open.reason, needs: open.needs))
      }
      if looked.contains(property) { return (property, .proven) }
      let open = why(property)
      return (property, .notCheckable(reason: open.reason, needs: open.needs))
    }
    return VerificationReport(
      kind: kind, signerHash: signerHash, outcomes: outcomes, refusal: first)
  }
}
