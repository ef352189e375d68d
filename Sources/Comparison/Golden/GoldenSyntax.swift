internal import Errors

/// The lines of a scenario (`Formats/diff.md`, section 5).
struct GoldenSyntax {
  /// How many folders the scenario's folder lies below the folder of all scenarios.
  let depth: Int
  /// Names of the tools that there are.
  let tools: [String]

  /// What a line says; nil for a blank one and a comment.
  /// - Throws: `GOLDEN-SYNTAX`.
  func action(_ line: String) throws(MigrationError) -> GoldenScenario.Action? {
    let words = try Self.words(line)
    guard let verb = words.first, !verb.hasPrefix("#") else { return nil }
    return try action(verb, Array(words.dropFirst()))
  }

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

  private func action(
    _ verb: String, _ words: [String]
  ) throws(MigrationError) -> GoldenScenario.Action {
    switch verb {
    case "input":
      guard words.count == 1 else {
        throw Self.refusal("an input is one path", "PATH", "\(words.count) words")
      }
      return .input(path: words[0], name: try inputName(words[0]))
    case "run": return .run(try call(words))
    case "keep", "open":
      guard words.count == 1 else {
        throw Self.refusal("\(verb) takes one name", "NAME", "\(words.count) words")
      }
      let name = try Self.fileName(words[0])
      return verb == "keep" ? .keep(name) : .open(name)
    case "print":
      return .print(try Self.fileName(words.first ?? ""), try call(Array(words.dropFirst())))
    default: throw Self.refusal("no such step", "input, run, keep, print or open", verb)
    }
  }

  private func call(_ words: [String]) throws(MigrationError) -> GoldenScenario.Call {
    var words = words[...]
    var status: Int32 = 0
    if let number = words.first.flatMap({ UInt8($0) }) {
      status = Int32(number)
      words = words.dropFirst()
    }
    guard let tool = words.popFirst() else {
      throw Self.refusal(
        "a call has no tool", "[STATUS] TOOL WORDS, with inspect for svsm-mig-inspect", "")
    }
    guard tools.contains(tool) else {
      throw Self.refusal(
        "no such tool beside svsm-mig-diff", "one of \(tools.joined(separator: ", "))", tool)
    }
    return .init(status: status, tool: tool, arguments: Array(words))
  }

  /// A name of a file in the scenario's folder.
  private static func fileName(_ word: String) throws(MigrationError) -> String {
    guard !word.isEmpty, !word.contains("/"), !word.hasPrefix("."),
      word != GoldenScenario.fileName
    else {
      throw refusal("not the name of an expected file", "a name without slashes", word)
    }
    return word
  }

  /// The last part of the path of an input, which must lie within the folder of all scenarios.
  private func inputName(_ path: String) throws(MigrationError) -> String {
    let parts = path.split(separator: "/", omittingEmptySubsequences: false)
    let up = parts.prefix { $0 == ".." }.count
    let rest = parts.dropFirst(up)
    guard up <= depth, let last = rest.last,
      rest.allSatisfy({ !$0.isEmpty && !$0.hasPrefix(".") })
    else {
      throw Self.refusal(
        "an input does not lie within the folder of the scenarios", "a path below it", path)
    }
    return String(last)
  }
}
