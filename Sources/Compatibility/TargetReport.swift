package import Errors

/// What a dump says of whether a destination will load a stream: a ledger with one row for each thing that
/// it compares, and never more than the dump says.
package struct TargetReport: Sendable {
  /// What a row is about. Its raw value is stable and shown by tools.
  package enum Subject: String, Sendable {
    case machine
    /// What else the configuration demands.
    case configuration
    case ramBlock = "ram-block"
    case section
    /// A device type that two dumps have.
    case deviceType = "device-type"
  }

  package enum Outcome: Sendable, Equatable {
    /// The destination takes it, as far as its dump says.
    case fits
    /// The destination refuses it: the first findings, and how many more there are.
    case refused([MigrationError], more: UInt64)
    /// The dump does not say, and why.
    case notCheckable(Wording)
  }

  package struct Row: Sendable {
    package var subject: Subject
    /// Safe to show.
    package var name: String
    /// Of a section.
    package var instance: UInt32?
    /// Stream offset of a section.
    package var offset: UInt64?
    /// Device types of the destination that a section may be of: those that fit it; if none does, the one
    /// that was held against it.
    package var types: [String] = []
    package var outcome: Outcome
    /// What is other at the destination without being wrong.
    package var notes: [String] = []
    /// Fields that only code can tell of.
    package var opaque: UInt64 = 0
  }

  /// The machine type of the destination's dump.
  package let machine: String
  /// That of the stream, or of the source's dump; nil when the stream names none.
  package let sourceMachine: String?
  package let rows: [Row]

  /// What is refused first, in the order of the rows.
  package var refusal: MigrationError? {
    for case .refused(let findings, _) in rows.lazy.map(\.outcome) {
      if let first = findings.first { return first }
    }
    return nil
  }
}

extension TargetReport.Outcome {
  /// Of what a comparison found.
  init(_ findings: StateFindings) {
    self = findings.kept.isEmpty ? .fits : .refused(findings.kept, more: findings.more)
  }

  init(_ error: MigrationError) { self = .refused([error], more: 0) }
}
