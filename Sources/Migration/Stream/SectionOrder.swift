internal import Errors
internal import QEMUStream

/// The order of an SNP stream's sections: session, starts, parts in any order, ends, the machine,
/// final records by kind, the commit (`Formats/stream.md`, section 3.2).
struct SectionOrder {
  /// The last section that was opened; nil before the session.
  private(set) var reached: SNPSection?
  private var ended: Set<SNPSection> = []

  /// Takes the next section.
  /// - Parameter refuse: called when its position or instance is wrong. If that returns, the
  ///   section is accepted, and what should have come before it is not expected any more.
  /// - Throws: `STREAM-KIND` when the first section is not a session; `SECTION-VERSION`,
  ///   `SECTION-INSTANCE`, `SECTION-ORDER`.
  mutating func take(
    _ known: SNPSection, _ header: SectionHeader,
    refuse: MigrationError.Refusal = MigrationError.refuse
  ) throws(MigrationError) {
    func refusal(_ code: ErrorCode, _ what: String, _ expected: String) -> MigrationError {
      MigrationError(
        code, what, at: header.offset, expected: expected,
        got: "\(header.kind) \(header.name) instance \(header.instance)")
    }
    guard reached != nil || known == .session else { throw Self.notSNP(header) }
    let version = known == .ram ? RAMSection.version : SNPSection.version
    guard header.version == version else {
      throw MigrationError(
        .sectionVersion, "unknown section version", at: header.offset, expected: "\(version)",
        got: "\(header.version)")
    }
    if !known.hasInstances, header.instance != 0 {
      try refuse(refusal(.sectionInstance, "section has one instance", "instance 0"))
    }
    guard known.comesInParts == (header.kind != .full) else {
      throw refusal(.sectionOrder, "section of another kind", known.comesInParts ? "parts" : "full")
    }
    switch header.kind {
    case .start,
      .full where known < .machine:
      let due = SNPSection.next(after: reached)
      if due != known {
        try refuse(
          refusal(.sectionOrder, "section out of order", due?.name.description ?? "none"))
      }
      reached = max(reached ?? known, known)
    case .part:
      if reached != .epochs || ended.contains(known) {
        try refuse(
          refusal(.sectionOrder, "part out of order", "between all starts and the section's end"))
      }
    case .end:
      let due: SNPSection? = ended.isEmpty ? .ram : ended.count == 1 ? .pages : .epochs
      if reached != .epochs || due != known {
        try refuse(refusal(.sectionOrder, "end out of order", due?.name.description ?? "none"))
      }
      ended.formUnion([SNPSection.ram, .pages, .epochs].filter { $0 <= known })
    case .full:
      let last = reached ?? known
      if ended.count != 3 || last > known || last == .commit {
        try refuse(
          refusal(.sectionOrder, "section out of order", "final records by kind, then the commit"))
      }
      ended = [.ram, .pages, .epochs]
      reached = max(last, known)
    }
  }

  /// The refusal of a stream that does not begin with a session.
  static func notSNP(_ header: SectionHeader) -> MigrationError {
    MigrationError(
      .streamKind, "not an SNP stream", at: header.offset, expected: "snp-session",
      got: header.name.description)
  }
}
