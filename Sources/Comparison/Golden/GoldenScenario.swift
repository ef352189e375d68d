package import Errors
internal import FileIO

/// How some files are made, by calls of our tools, and which of them are expected to stay as they are
/// (`Formats/diff.md`, section 5).
package struct GoldenScenario: Sendable, Equatable {
  /// A call of one of our tools.
  package struct Call: Sendable, Equatable {
    /// Exit status that it must have.
    package var status: Int32 = 0
    /// "inspect" for svsm-mig-inspect.
    package var tool: String
    package var arguments: [String]
  }

  package enum Step: Sendable, Equatable {
    /// Copies a file or folder, by its path from the scenario's folder, to where the calls are made.
    case input(path: String, name: String)
    case run(Call)
    /// A file that a call made is an expected one.
    case keep(String)
    /// The standard output of a call is an expected file.
    case print(String, Call)
    /// The instance that opens streams, where they differ.
    case open(String)
  }

  /// Name of the file in each folder with expected files.
  package static let fileName = "scenario"
  private static let sizeLimit = 1 << 20
  private static let toolLimit = 32

  /// Path of its folder from the folder of all scenarios; "." for that folder itself.
  package let name: String
  package private(set) var steps: [Step] = []

  /// The scenarios in a folder and in the folders directly in it, by name.
  /// - Throws: `GOLDEN-SYNTAX`, also when there is none; `INPUT-OPEN`, `INPUT-KIND`, `IO-READ`.
  package static func all(in folder: String) throws(MigrationError) -> [GoldenScenario] {
    var found: [GoldenScenario] = []
    for name in ["."] + (try fileNames(in: folder)) {
      let inner = "\(folder)/\(name)"
      guard isFolder(inner), try fileNames(in: inner).contains(fileName) else { continue }
      let path = "\(inner)/\(fileName)"
      let bytes = try InputFile(path, .member).readAll(limit: sizeLimit)
      found.append(try GoldenScenario(String(decoding: bytes, as: UTF8.self), name: name))
    }
    guard !found.isEmpty else {
      throw MigrationError(
        .goldenSyntax, "no scenario in this folder, nor in a folder in it", in: .file(folder),
        expected: "files of the name \(fileName)")
    }
    return found
  }

  /// - Throws: `GOLDEN-SYNTAX`, with the line.
  package init(_ text: String, name: String) throws(MigrationError) {
    self.name = name
    let lines = text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    for (index, line) in lines.enumerated() {
      do throws(MigrationError) {
        let words = try Self.words(String(decoding: line, as: UTF8.self))
        guard let verb = words.first, !verb.hasPrefix("#") else { continue }
        steps.append(try Self.step(verb, Array(words.dropFirst()), isInner: name != "."))
      } catch {
        var error = error
        error.place = .line(index + 1, of: "\(name)/\(Self.fileName)")
        throw error
      }
    }
  }

  // MARK: Lines

  private static func refusal(_ what: String, _ expected: String, _ got: String) -> MigrationError {
    MigrationError(.goldenSyntax, what, expected: expected, got: "\"\(got)\"")
  }

  /// The words of a line. A word in single quotes may contain blanks.
  private static func words(_ line: String) throws(MigrationError) -> [String] {
    var words: [String] = []
    var word: String?
    var isQuoted = false
    for character in line {
      switch character {
      case "'":
        isQuoted.toggle()
        word = word ?? ""
      case " " where !isQuoted, "\t" where !isQuoted, "\r" where !isQuoted, "\r\n" where !isQuoted:
        if let word { words.append(word) }
        word = nil
      default: word = (word ?? "") + String(character)
      }
      if !isQuoted, words.isEmpty, word == "#" { return [] }
    }
    guard !isQuoted else { throw refusal("a quotation does not end", "'", line) }
    if let word { words.append(word) }
    return words
  }

  private static func step(
    _ verb: String, _ words: [String], isInner: Bool
  ) throws(MigrationError) -> Step {
    switch verb {
    case "input":
      guard words.count == 1 else {
        throw refusal("an input is one path", "PATH", "\(words.count) words")
      }
      return .input(path: words[0], name: try inputName(words[0], isInner: isInner))
    case "run": return .run(try call(words))
    case "keep", "open":
      guard words.count == 1 else {
        throw refusal("\(verb) takes one name", "NAME", "\(words.count) words")
      }
      return verb == "keep" ? .keep(try fileName(words[0])) : .open(try fileName(words[0]))
    case "print":
      return .print(try fileName(words.first ?? ""), try call(Array(words.dropFirst())))
    default: throw refusal("no such step", "input, run, keep, print or open", verb)
    }
  }

  private static func call(_ words: [String]) throws(MigrationError) -> Call {
    var words = words[...]
    var status: Int32 = 0
    if let number = words.first.flatMap({ UInt8($0) }) {
      status = Int32(number)
      words = words.dropFirst()
    }
    guard let tool = words.popFirst(), 1...toolLimit ~= tool.utf8.count,
      tool.utf8.allSatisfy({ UInt8(ascii: "a")...UInt8(ascii: "z") ~= $0 })
    else {
      throw refusal(
        "a call has no tool", "[STATUS] TOOL WORDS, with inspect for svsm-mig-inspect", "")
    }
    return Call(status: status, tool: tool, arguments: Array(words))
  }

  /// A name of a file in the scenario's folder.
  private static func fileName(_ word: String) throws(MigrationError) -> String {
    guard !word.isEmpty, !word.contains("/"), !word.hasPrefix("."), word != fileName else {
      throw refusal("not the name of an expected file", "a name without slashes", word)
    }
    return word
  }

  /// The last part of the path of an input, which must lie within the folder of all scenarios.
  private static func inputName(
    _ path: String, isInner: Bool
  ) throws(MigrationError) -> String {
    let parts = path.split(separator: "/", omittingEmptySubsequences: false)
    let up = parts.prefix { $0 == ".." }.count
    let rest = parts.dropFirst(up)
    guard up <= (isInner ? 1 : 0), let last = rest.last,
      rest.allSatisfy({ !$0.isEmpty && !$0.hasPrefix(".") })
    else {
      throw refusal(
        "an input does not lie within the folder of the scenarios", "a path below it", path)
    }
    return String(last)
  }
}
