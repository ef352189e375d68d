import Testing

/// The texts refer to each other by section numbers.
@Suite struct ReferenceTests {
  /// Numbers of a text's sections and subsections, in order.
  private static func sections(of lines: [String]) -> [String] {
    lines.compactMap { line in
      guard let match = line.firstMatch(of: #/^##+ ([0-9]+(?:\.[0-9]+)*)\.? /#) else { return nil }
      return String(match.1)
    }
  }

  @Test func noNumberOfASectionStandsTwice() {
    for (name, lines) in Documents.texts {
      let sections = Self.sections(of: lines)
      #expect(Set(sections).count == sections.count, "\(name): \(sections)")
    }
  }

  @Test func everySectionThatAnotherTextNamesIsThere() {
    var count = 0
    for (name, lines) in Documents.texts {
      let text = lines.joined(separator: " ")
      let references = text.matches(
        of: #/([a-z-]+\.md)[)`]*,?\s+sections?\s+([0-9]+(?:\.[0-9]+)*)/#)
      for reference in references {
        let sections = Self.sections(of: Documents.lines(of: String(reference.1)))
        #expect(sections.contains(String(reference.2)), "\(name): \(reference.0)")
        count += 1
      }
    }
    #expect(count > 10)
  }
}
