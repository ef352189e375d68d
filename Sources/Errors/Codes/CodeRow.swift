/// Everything known about one code, in one place: its kind of failure, the rules it stands for, and
/// the explanation in `Formats/errors.md`. Each area has a table of such rows.
package struct CodeRow: Sendable {
  /// The cause of the failure, which decides the exit status.
  package enum Kind: Sendable {
    /// The input is bad, damaged, forged or not wanted.
    case refusal
    /// An input cannot be opened.
    case noInput
    /// The tool has a bug.
    case ours
    /// An output cannot be made.
    case noOutput
    /// Reading or writing failed.
    case failure
  }

  package let code: ErrorCode
  package let kind: Kind
  /// The condition that the code reports.
  package let meaning: Wording
  /// The usual causes, the most likely first.
  package let causes: [Wording]
  /// The action that resolves the failure.
  package let remedy: Wording
  private let clause: Clause
  /// The rules the code stands for in certain places of an SNP stream, where they differ from the
  /// usual one.
  private let clauses: [Place: Clause]
  /// The rule the code stands for in a plain QEMU stream, where it differs from the usual one.
  private let plain: Clause?

  /// - Parameter plain: the rule for plain QEMU streams, which is the same for all places but the
  ///   seal.
  init(
    _ code: ErrorCode, _ clause: Clause, in clauses: [Place: Clause] = [:],
    plain: Clause? = .tools("4"), kind: Kind = .refusal, meaning: Wording, causes: [Wording],
    remedy: Wording
  ) {
    (self.code, self.kind) = (code, kind)
    (self.clause, self.clauses, self.plain) = (clause, clauses, plain)
    (self.meaning, self.causes, self.remedy) = (meaning, causes, remedy)
  }

  /// The rows of all areas.
  package static let all =
    container + ram + images + targets + initiation + attestation + pages + maps + finalState + seal
    + guests
    + attacks + files

  fileprivate static let table = Dictionary(uniqueKeysWithValues: all.map { ($0.code, $0) })

  fileprivate func clause(in place: Place?, isPlain: Bool) -> Clause {
    if isPlain, let plain { return plain }
    return place.flatMap { clauses[$0] } ?? clause
  }
}

extension ErrorCode {
  /// The row of the code.
  package var row: CodeRow {
    guard let row = CodeRow.table[self] else { preconditionFailure("\(rawValue) has no row") }
    return row
  }

  /// Whether the code means that an input was refused. Other codes give no verdict about an input.
  package var isRefusal: Bool { row.kind == .refusal }

  /// The exit status with which a tool ends, after `sysexits.h`.
  public var exitStatus: Int32 {
    switch row.kind {
    case .refusal: 65
    case .noInput: 66
    case .ours: 70
    case .noOutput: 73
    case .failure: 74
    }
  }

  /// The rule that a refusal with this code stands for.
  /// - Parameters:
  ///   - place: the place that the refusal names; some codes stand for another rule in each place.
  ///   - isPlain: whether the stream is a plain QEMU stream, which has rules of its own.
  package func clause(in place: Place? = nil, isPlain: Bool = false) -> Clause {
    row.clause(in: place, isPlain: isPlain)
  }
}
