import Errors
import Testing

/// The rules that refusals point to.
@Suite struct ClauseTests {
  /// Every clause that a code can stand for, in any section.
  private static let clauses: [(code: ErrorCode, clause: Clause)] = ErrorCode.allCases.flatMap {
    code -> [(ErrorCode, Clause)] in
    let places: [Place?] = [
      nil, .ram, .pageStates, .offer, .seal, .session, .section("snp-guest-map"), .pages, .epochs,
      .machine, .section("snp-vcpu"), .commit,
    ]
    let all = places.flatMap { place in [false, true].map { code.clause(in: place, isPlain: $0) } }
    return Set(all).map { (code, $0) }
  }

  /// The lines of a section, without its subsections.
  private func lines(of clause: Clause) -> [String] {
    let lines = Documents.lines(of: clause.document)
    let depth = clause.section.contains(".") ? "### \(clause.section) " : "## \(clause.section). "
    guard let start = lines.firstIndex(where: { $0.hasPrefix(depth) }) else { return [] }
    return Array(lines[(start + 1)...].prefix { !$0.hasPrefix("#") })
  }

  @Test("What is wrong with a revocation list is where revocation lists are described")
  func aRevocationListsRulesAreItsOwn() {
    let clause = Clause("amd-structures.md", "1.9")
    #expect(ErrorCode.certificateRevoked.clause() == clause)
    for code in ErrorCode.allCases where code.rawValue.hasPrefix("CERT-") {
      let lines = lines(of: clause).joined(separator: "\n")
      let isThere = lines.contains("[\(code.rawValue)]") && code != .certificateSyntax
      #expect((code.clause(in: .revocationList) == clause) == isThere, "\(code.rawValue)")
    }
  }

  @Test func everyClauseIsInItsText() {
    for (code, clause) in Self.clauses {
      let lines = lines(of: clause)
      #expect(!lines.isEmpty, "\(code.rawValue): \(clause)")
      if let rule = clause.rule {
        #expect(lines.contains { $0.hasPrefix("\(rule). ") }, "\(code.rawValue): \(clause)")
      }
    }
  }

  /// A numbered rule that names its code, and is the rule that is pointed to.
  @Test func aNumberedRuleNamesItsCode() {
    for (code, clause) in Self.clauses {
      guard let rule = clause.rule else { continue }
      var text = ""
      for line in lines(of: clause).drop(while: { !$0.hasPrefix("\(rule). ") }) {
        if line.isEmpty || line.hasPrefix("\(rule + 1). ") { break }
        text += line + " "
      }
      // Rule 2 of a page's fields stands for the codes in its table.
      if text.contains("codes as above") { continue }
      #expect(text.contains(code.rawValue), "\(code.rawValue): \(clause)")
    }
  }
}
