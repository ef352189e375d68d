internal import Errors
internal import QEMUStream

/// What a comparison finds, in memory that does not grow with it.
struct StateFindings {
  /// Findings of one section or device type that are kept, and as many remarks.
  static let limit = 16

  private(set) var kept: [MigrationError] = []
  /// Findings beyond those kept.
  private(set) var more: UInt64 = 0
  /// What is other without being wrong.
  private(set) var notes: [String] = []
  /// Fields whose content only code knows.
  var opaque: UInt64 = 0

  var count: UInt64 { UInt64(kept.count) + more }

  /// Less is nearer: first by findings, then by remarks.
  var rank: (UInt64, Int) { (count, notes.count) }

  mutating func add(_ error: MigrationError) {
    if kept.count < Self.limit { kept.append(error) } else { more += 1 }
  }

  mutating func note(_ text: String) {
    if notes.count < Self.limit { notes.append(text) }
  }
}

/// What all comparisons of one report may cost together, in fields looked at.
///
/// Files may be made so that each section fits the name of each device type, and every element of an
/// array is compared with a struct of thousands of fields. Real ones take some ten thousand.
struct ComparisonBudget {
  static let limit = 1 << 22
  private var left = limit

  /// A name longer than this costs more, for its bytes are hashed.
  private static let nameUnit = 64

  /// - Returns: false when there is no room for them; from then on nothing is compared.
  mutating func take(_ fields: [StateLayout.Field]) -> Bool {
    for field in fields {
      left -= 1 + field.name.utf8.count / Self.nameUnit
      if left < 0 { break }
    }
    return !isSpent
  }

  /// Takes one name of any length.
  mutating func take(_ name: String) -> Bool { take(1 + name.utf8.count / Self.nameUnit) }

  /// Takes what is in a body, structures and subsections too.
  mutating func take(_ body: VMDescription.Body) -> Bool {
    left -= 1 + body.fields.count
    // Nothing is looked at when nothing is left.
    guard !isSpent else { return false }
    for part in body.fields.lazy.flatMap(\.bodies) where !isSpent { _ = take(part) }
    for subsection in body.subsections where !isSpent { _ = take(subsection) }
    return !isSpent
  }

  mutating func take(_ count: Int) -> Bool {
    left -= count
    return !isSpent
  }

  var isSpent: Bool { left <= 0 }
}
