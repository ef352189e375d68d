internal import Bytes
internal import QEMUStream

/// The order of an SNP stream's sections: session, starts, parts in any order, ends, the machine, final
/// records by kind, the commit (`Formats/stream.md`, section 3.2).
struct SectionOrder {
  /// The last section that was opened; nil before the session.
  private(set) var reached: SNPSection?
  private var ended: Set<SNPSection> = []

  /// Takes the next section.
  /// - Throws: `STREAM-KIND` when the first is no session; `SECTION-VERSION`, `SECTION-INSTANCE`,
  ///   `SECTION-ORDER`.
  mutating func take(
    _ known: SNPSection, _ header: SectionHeader
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
    guard known.hasInstances || header.instance == 0 else {
      throw refusal(.sectionInstance, "section has one instance", "instance 0")
    }
    guard known.comesInParts == (header.kind != .full) else {
      throw refusal(.sectionOrder, "section of another kind", known.comesInParts ? "parts" : "full")
    }
    switch header.kind {
    case .start,
      .full where known < .machine:
      let due = SNPSection(rawValue: (reached?.rawValue ?? -1) + 1)
      guard due == known else {
        throw refusal(.sectionOrder, "section out of order", due?.name.description ?? "none")
      }
      reached = known
    case .part:
      guard reached == .epochs, !ended.contains(known) else {
        throw refusal(
          .sectionOrder, "part out of order", "between all starts and the section's end")
      }
    case .end:
      let due: SNPSection? = ended.isEmpty ? .ram : ended.count == 1 ? .pages : .epochs
      guard reached == .epochs, due == known else {
        throw refusal(.sectionOrder, "end out of order", due?.name.description ?? "none")
      }
      ended.insert(known)
    case .full:
      guard ended.count == 3, let reached, reached <= known, reached != .commit else {
        throw refusal(
          .sectionOrder, "section out of order", "final records by kind, then the commit")
      }
      self.reached = known
    }
  }

  /// The refusal of a stream that begins with another section.
  static func notSNP(_ header: SectionHeader) -> MigrationError {
    MigrationError(
      .streamKind, "not an SNP stream", at: header.offset, expected: "snp-session",
      got: header.name.description)
  }
}
