package import Errors
internal import Wire

/// A test case in a text file: a way of being wrong, or right. It states what is examined, how it
/// is made, and the required verdict (`Formats/vectors.md`, "Vectors").
package struct Vector: Sendable {
  /// What is examined.
  package enum Subject: String, Sendable, CaseIterable {
    case stream, qemu, channel, offer, instance, report, certificate, table, policy, json, recipe
    case vector
    /// The behaviour of tools when they are called, apart from the content of any file.
    case command
    /// The behaviour of the library for calls out of order, which only a test can show.
    case library
  }

  /// The keys of the header.
  package enum Key: String, Sendable, CaseIterable {
    case name, what, subject, input, second, instance, offer, trust, stream, channel, report
    case certificate, crl, policy, demands, at, verdict, code, section, offset, run, test
    case recipe, content
    case keylessCode = "keyless-code"
    case loadCode = "load-code"

    /// Whether the key may occur more than once.
    var isRepeatable: Bool { self == .channel || self == .certificate || self == .crl }
    /// Whether the key's value is the rest of the file.
    var isBlock: Bool { self == .recipe || self == .content }
    /// Whether the key's value is the path of a file among the fixtures.
    package var isPath: Bool {
      switch self {
      case .input, .second, .instance, .offer, .trust, .stream, .channel, .report, .certificate,
        .crl, .policy:
        true
      default: false
      }
    }
  }

  /// The verdict that a reader must reach.
  package enum Verdict: Sendable, Equatable {
    case accepted
    /// - Parameters:
    ///   - keyless: the code that a reader without keys reports; nil when it can find nothing
    ///     wrong.
    ///     - load: the code with which a destination refuses to load.
    case refused(ErrorCode, keyless: ErrorCode?, load: ErrorCode)
  }

  package let name: String
  /// What is wrong, as one clause.
  package let what: String
  package let subject: Subject
  package let verdict: Verdict
  /// The section in which a reader with keys must find it.
  package let section: String?
  package let offset: UInt64?
  /// Paths of fixtures, by key and in order.
  package let paths: [Key: [String]]
  /// All other values, by key: `demands`, `at`, `run`, `test`.
  package let words: [Key: String]
  /// The recipe that is applied to the input.
  let recipe: String?
  /// The content of the file itself.
  let content: String?

  static let firstLine = "svsm-migration vector 1"
  /// Largest size of a vector's file in bytes.
  package static let maximumSize = 1 << 20

  /// Reads the file of a vector.
  /// - Throws: as reading its text does; `VECTOR-SYNTAX` when it is not text.
  package init(_ bytes: [UInt8], fileName: String) throws(MigrationError) {
    guard let text = String(streamSafe: bytes) else {
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
      throw header.refusal(.content, "excludes another way to make the file")
    }
    var words: [Key: String] = [:]
    for key in [Key.demands, .at, .run, .test] { words[key] = header.take(key) }
    if let demands = words[.demands], demands != "migration" {
      throw header.refusal(.demands, "is unknown", expected: "migration", got: demands)
    }
    self.words = words
    guard (subject == .command) == (words[.run] != nil) else {
      throw header.refusal(.run, "is required for a command, and allowed for nothing else")
    }
    guard (subject == .library) == (words[.test] != nil) else {
      throw header.refusal(.test, "is required for the library, and allowed for nothing else")
    }
    // A vector's recipe must be valid, unless recipes are what the vector is about.
    if let recipe, subject != .recipe {
      do throws(MigrationError) {
        _ = try Recipe(parsing: recipe)
      } catch {
        throw header.refusal(.recipe, "is not valid: \(error.what)", got: error.got?.description)
      }
    }
  }

  /// Whether it is a relative path that does not leave its folder.
  private static func isPath(_ text: String) -> Bool {
    let steps = text.split(separator: "/", omittingEmptySubsequences: false)
    return !steps.contains { $0.isEmpty || $0 == "." || $0 == ".." }
  }
}
