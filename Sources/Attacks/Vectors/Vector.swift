package import Errors

/// One way of being wrong, or right, as a text file: what is looked at, how it is made, and what must
/// be said of it (`Formats/vectors.md`, "Vectors").
package struct Vector: Sendable {
  /// What the vector's file is.
  package enum Subject: String, Sendable, CaseIterable {
    case stream, qemu, channel, offer, instance, report, certificate, table, policy, json, recipe
    case vector
    /// What calls of tools do, beside any file's content.
    case command
    /// What only calls of the library, out of order, can show: a test does.
    case library
  }

  /// The keys of the header.
  package enum Key: String, Sendable, CaseIterable {
    case name, what, subject, input, second, instance, offer, trust, stream, channel, report
    case certificate, crl, policy, demands, at, verdict, code, section, offset, run, test
    case recipe, content
    case keylessCode = "keyless-code"
    case loadCode = "load-code"

    /// Whether it may come more than once.
    var isRepeatable: Bool { self == .channel || self == .certificate || self == .crl }
    /// Whether its value is the rest of the file.
    var isBlock: Bool { self == .recipe || self == .content }
    /// Whether its value is the path of a file of the fixtures.
    package var isPath: Bool {
      switch self {
      case .input, .second, .instance, .offer, .trust, .stream, .channel, .report, .certificate,
        .crl, .policy:
        true
      default: false
      }
    }
  }

  /// What a reader must say.
  package enum Verdict: Sendable, Equatable {
    case accepted
    /// - Parameters:
    ///   - keyless: by a reader without keys; nil when it can find nothing wrong.
    ///   - load: by a destination that loads.
    case refused(ErrorCode, keyless: ErrorCode?, load: ErrorCode)
  }

  package let name: String
  /// What is wrong: one clause.
  package let what: String
  package let subject: Subject
  package let verdict: Verdict
  /// Where a reader with keys must find it.
  package let section: String?
  package let offset: UInt64?
  /// Fixtures by the key that names them, in order.
  package let paths: [Key: [String]]
  /// All else, by key: `demands`, `at`, `run`, `test`.
  package let words: [Key: String]
  /// What is done to the input.
  let recipe: String?
  /// The file itself.
  let content: String?

  static let firstLine = "svsm-migration vector 1"
  /// Bytes a vector's file may have.
  package static let maximumSize = 1 << 20

  /// Reads the file of a vector.
  /// - Throws: as the same of its text; `VECTOR-SYNTAX` when it is none.
  package init(_ bytes: [UInt8], fileName: String) throws(MigrationError) {
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw MigrationError(.vectorSyntax, "vector is not UTF-8", in: .file(fileName))
    }
    try self.init(parsing: text, fileName: fileName)
  }

  /// Reads a vector.
  /// - Parameter fileName: the file's name without its ending, which must be the vector's name.
  /// - Throws: `VECTOR-SYNTAX`; the section names file and line.
  package init(parsing text: String, fileName: String) throws(MigrationError) {
    var header = try VectorHeader(text, fileName: fileName)
    name = try header.need(.name)
    guard name == fileName else {
      throw header.refusal(.name, "is not the file's name", expected: fileName)
    }
    what = try header.need(.what)
    subject = try header.choice(.subject, of: Subject.allCases)
    verdict = try header.verdict()
    section = header.take(.section)
    offset = try header.number(.offset)
    var paths: [Key: [String]] = [:]
    for key in Key.allCases where key.isPath {
      let found = header.takeAll(key)
      for path in found where !Self.isPath(path) {
        throw header.refusal(key, "leaves the folder of fixtures", got: path)
      }
      if !found.isEmpty { paths[key] = found }
    }
    self.paths = paths
    recipe = header.take(.recipe)
    content = header.take(.content)
    guard content == nil || recipe == nil && paths[.input] == nil else {
      throw header.refusal(.content, "stands beside another way to make the file")
    }
    var words: [Key: String] = [:]
    for key in [Key.demands, .at, .run, .test] { words[key] = header.take(key) }
    if let demands = words[.demands], demands != "migration" {
      throw header.refusal(.demands, "is unknown", expected: "migration", got: demands)
    }
    self.words = words
    guard (subject == .command) == (words[.run] != nil) else {
      throw header.refusal(.run, "belongs to a command, and to nothing else")
    }
    guard (subject == .library) == (words[.test] != nil) else {
      throw header.refusal(.test, "belongs to the library, and to nothing else")
    }
    // Whether a recipe is one is seen here, unless that is what the vector is about.
    if let recipe, subject != .recipe {
      do throws(MigrationError) {
        _ = try Recipe(parsing: recipe)
      } catch {
        throw header.refusal(.recipe, "is none: \(error.what)", got: error.got?.description)
      }
    }
  }

  /// Whether it is a path below a folder.
  private static func isPath(_ text: String) -> Bool {
    let steps = text.split(separator: "/", omittingEmptySubsequences: false)
    return !steps.contains { $0.isEmpty || $0 == "." || $0 == ".." }
  }
}
