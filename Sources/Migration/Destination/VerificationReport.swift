package import Errors
package import QEMUStream
internal import Wire

/// A verifier's result for a stream: one entry for each property, which never claims more than was
/// checked.
package struct VerificationReport: Sendable {
  /// The kind of stream that was verified.
  package enum Kind: String, Sendable {
    case snp
    case qemu
    /// A stream of a confidential guest that a fork of QEMU wrote.
    case confidential
    /// A file of any kind that is held against a detached seal.
    case file
  }

  /// One thing that is wrong, and the rule it breaks.
  package struct Refutation: Sendable, Equatable {
    package var error: MigrationError
    package var clause: Clause
  }

  /// The outcome of one property.
  package enum Outcome: Sendable, Equatable {
    /// The property was checked completely, and nothing is wrong.
    case proven
    /// The first findings, in the order in which they were met, and the number of further findings.
    case refuted([Refutation], more: UInt64)
    /// Why it was not checked, or not completely, and what its check would need.
    case notCheckable(reason: Wording, needs: Wording)
  }

  /// Largest number of findings that are kept for one property.
  package static let limit = 16

  package let kind: Kind
  /// For a plain stream or a file: SHA-256 of the public key whose signature on the seal is good.
  package let signerHash: [UInt8]?
  /// The root of the seal's hash tree; nil without a seal, and for an SNP stream.
  package internal(set) var sealRoot: [UInt8]?
  /// The outcome of each property that exists, in the order of `Property.allCases`.
  package let outcomes: [(property: Property, outcome: Outcome)]
  /// The first refusal, with which a load refuses the stream.
  package let refusal: MigrationError?
  /// nil for a stream without attestation reports.
  package internal(set) var revocation: Revocation?
  /// Of a confidential guest's stream: which fork wrote it.
  package internal(set) var dialect: ConfidentialDialect?

  /// Zero bytes that follow a plain stream.
  package internal(set) var padding: UInt64 = 0
  /// Bytes of the file that were not looked at, since the stream's length was given.
  package var rest: UInt64?

  /// Whether the chains of a stream's reports were checked against revocation lists.
  package enum Revocation: Sendable {
    /// Each chain was checked against a list of its root.
    case checked
    case noList
    /// There are lists, but a chain is missing or ends before a root whose list could be used.
    case noChain
  }

  /// The outcome of `property`.
  package func outcome(of property: Property) -> Outcome? {
    outcomes.first { $0.property == property }?.outcome
  }
}

/// Collects the findings of a pass over a stream, in memory that does not grow with the stream.
final class FindingLedger {
  typealias Property = VerificationReport.Property

  private var kind: VerificationReport.Kind
  /// Whether the first finding ends the pass.
  let stopsAtFirst: Bool
  /// The first finding.
  private(set) var first: MigrationError?
  /// The first finding since this was last set to nil.
  var recent: MigrationError?
  private var found: [Property: (kept: [VerificationReport.Refutation], more: UInt64)] = [:]
  private var obstructions: [Property: (reason: Wording, needs: Wording)] = [:]
  private var looked: Set<Property> = []
  /// Findings of a reader that are held back while the records before them are being judged.
  private var held: [MigrationError] = []
  /// Whether findings of a reader are held back.
  var isHolding = false

  init(_ kind: VerificationReport.Kind, stopsAtFirst: Bool) {
    (self.kind, self.stopsAtFirst) = (kind, stopsAtFirst)
  }

  /// Notes a finding.
  /// - Parameter property: the property that it refutes; nil to derive the property from the code.
  /// - Throws: `error` when the pass has to end: when it is not a refusal, or is the first of a
  ///   pass that stops there.
  func note(_ error: MigrationError, about property: Property? = nil) throws(MigrationError) {
    guard error.code.isRefusal, !hasStopped else { throw error }
    if first == nil { first = error }
    if recent == nil { recent = error }
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

  /// Notes what a load refuses for lack of knowledge, which proves no fault: `property` cannot be
  /// checked.
  /// - Throws: `error` when the pass has to end.
  func note(
    _ error: MigrationError, unknownTo property: Property, reason: Wording, needs: Wording
  ) throws(MigrationError) {
    if first == nil { first = error }
    if recent == nil { recent = error }
    obstruct(property, reason: reason, needs: needs)
    if stopsAtFirst { throw error }
  }

  /// Records that the stream is a confidential guest's.
  func isOfDialect() { kind = .confidential }

  /// Records a broken rule of a dialect.
  func noteOfDialect(_ error: MigrationError) throws(MigrationError) {
    isOfDialect()
    try note(error)
  }

  /// Whether the pass has ended at its first refusal, which was noted before it was thrown.
  var hasStopped: Bool { stopsAtFirst && first != nil }

  /// Notes a finding of a reader, or holds it back.
  func noteRead(_ error: MigrationError) throws(MigrationError) {
    if isHolding { held.append(error) } else { try note(error) }
  }

  /// Whether any finding is held back.
  var holdsSome: Bool { !held.isEmpty }

  /// Notes the findings that were held back.
  func release() throws(MigrationError) {
    if held.isEmpty { return }
    let errors = held
    held = []
    for error in errors { try note(error) }
  }

  /// Counts further findings like the last one that was kept.
  func noteMore(_ count: UInt64, about property: Property) {
    found[property]?.more += count
  }

  /// Whether there is a finding against `property`.
  func isRefuted(_ property: Property) -> Bool { found[property] != nil }

  /// Whether `property` is refuted, or known not to be checkable.
  func isOpen(_ property: Property) -> Bool { isRefuted(property) || obstructions[property] != nil }

  /// Marks properties as not proven, because a part of them could not be checked.
  func obstruct(_ properties: Property..., reason: Wording, needs: Wording) {
    for property in properties where obstructions[property] == nil {
      obstructions[property] = (reason, needs)
    }
  }

  /// Why the signer of a seal is not known.
  /// - Parameter fingerprint: SHA-256 of the key that signed the seal; nil for an unsigned one.
  static func whyNoSigner(_ fingerprint: [UInt8]?) -> (reason: Wording, needs: Wording) {
    guard let fingerprint else {
      return ("the seal is not signed: anyone can have made it", "a seal that an instance signed")
    }
    return (
      "signed by the key with SHA-256 \(Hex.encode(fingerprint))",
      "the offer or the instance with that key: \(.signer), \(.instance)"
    )
  }

  /// Marks properties as completely checked.
  func look(at properties: Property...) { looked.formUnion(properties) }

  /// - Parameters:
  ///   - dialect: of a confidential guest's stream, where it is known.
  ///   - why: tells why a property was not checked, and what its check would need.
  func report(
    signerHash: [UInt8]? = nil, dialect: ConfidentialDialect? = nil,
    why: (Property) -> (reason: Wording, needs: Wording)
  ) -> VerificationReport {
    let kind = kind
    let outcomes = Property.allCases.filter {
      $0.exists(in: kind, dialect) || isRefuted($0)
    }.map {
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
    var report = VerificationReport(
      kind: kind, signerHash: signerHash, outcomes: outcomes, refusal: first)
    report.dialect = dialect
    return report
  }
}
