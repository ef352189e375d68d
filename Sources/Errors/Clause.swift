/// The place of a rule in the documents of `Formats`.
package struct Clause: Sendable, Hashable {
  /// Name of the document: "stream.md".
  package var document: String
  /// Number of the section: "4.3".
  package var section: String
  /// Number of the rule in the section's list; nil when the rule is not numbered.
  package var rule: Int?

  package init(_ document: String, _ section: String, rule: Int? = nil) {
    self.document = document
    self.section = section
    self.rule = rule
  }
}

extension Clause: CustomStringConvertible {
  /// "Formats/stream.md, section 7, rule 4".
  package var description: String {
    "Formats/\(document), section \(section)" + (rule.map { ", rule \($0)" } ?? "")
  }
}

extension Clause {
  static func stream(_ section: String, rule: Int? = nil) -> Clause {
    Clause("stream.md", section, rule: rule)
  }
  static func migrationData(_ section: String) -> Clause { Clause("migration-data.md", section) }
  static func structures(_ section: String) -> Clause { Clause("amd-structures.md", section) }
  static func policy(_ section: String) -> Clause { Clause("policy.md", section) }
  static func bundle(_ section: String) -> Clause { Clause("guest-bundle.md", section) }
  static func vectors(_ section: String) -> Clause { Clause("vectors.md", section) }
  static func json(_ section: String) -> Clause { Clause("json.md", section) }
  static func target(_ section: String, rule: Int? = nil) -> Clause {
    Clause("target.md", section, rule: rule)
  }
  static func replay(_ section: String) -> Clause { Clause("replay.md", section) }
  static func diff(_ section: String) -> Clause { Clause("diff.md", section) }
  static func tools(_ section: String) -> Clause { Clause("tools.md", section) }

  /// The clause that replaces a clause about plain QEMU streams when a fork of QEMU wrote the
  /// stream.
  package var ofDialect: Clause {
    self == .tools("4") ? Clause("dialects.md", "5") : self
  }
}
