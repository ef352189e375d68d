/// All that is said of one code, in one place: what kind of failure it is, the rules it stands for, and
/// what `Formats/errors.md` tells somebody who has met it. Each area has a table of such rows.
package struct CodeRow: Sendable {
  /// Whose fault it is.
  package enum Kind: Sendable {
    /// The input's: bad, damaged, forged or unwelcome.
    case refusal
    /// An input cannot be opened.
    case noInput
    /// Ours.
    case ours
    /// An output cannot be made.
    case noOutput
    /// Reading or writing failed.
    case failure
  }

  package let code: ErrorCode
  package let kind: Kind
  /// What is the case.
  package let meaning: Wording
  /// What it usually comes from, the likeliest first.
  package let causes: [Wording]
  /// What to do about it.
  package let remedy: Wording
  private let clause: Clause
  /// What the code means in some places of an SNP stream, where that differs.
  private let clauses: [Place: Clause]
  /// What it means in a plain QEMU stream, where that differs.
  private let plain: Clause?

  /// - Parameter plain: of a plain QEMU stream one rule holds for all but the seal.
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
  /// What there is to say of the code.
  package var row: CodeRow {
    guard let row = CodeRow.table[self] else { preconditionFailure("\(rawValue) has no row") }
    return row
  }

  /// Whether an input was refused; anything else is no verdict about one.
  package var isRefusal: Bool { row.kind == .refusal }

  /// The exit status a tool ends with, after `sysexits.h`.
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
  ///   - place: what the refusal names; some codes mean another rule in each.
  ///   - isPlain: whether the stream is a plain QEMU stream, which other rules hold for.
  package func clause(in place: Place? = nil, isPlain: Bool = false) -> Clause {
    row.clause(in: place, isPlain: isPlain)
  }
}
