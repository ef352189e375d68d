internal import Errors

/// The lines of a scenario (`Formats/diff.md`, section 5).
struct GoldenSyntax {
  /// How many folders the scenario's folder lies below the folder of all scenarios.
  let depth: Int
  /// Names of the tools that there are.
  let tools: [String]

  /// Options of our tools that start a program: this one again, and the shell.
  private static let startingOptions = ["--golden", "--against", "--commands"]
  /// Scalars of a word that an error shows.
  private static let shownLimit = 80

  /// What a line says; nil for a blank one and a comment.
  /// - Throws: `GOLDEN-SYNTAX`.
  func action(_ line: String) throws(MigrationError) -> GoldenScenario.Action? {
    let words = try Self.words(line)
    guard let verb = words.first else { return nil }
    return try action(verb, Array(words.dropFirst()))
  }

  private static func refusal(_ what: String, _ expected: String, _ got: String) -> MigrationError {
    // A line may be a megabyte.
    let isLong = got.utf8.count > shownLimit
    let shown = isLong ? String(got.unicodeScalars.prefix(shownLimit)) + "…" : got
    return MigrationError(.goldenSyntax, what, expected: expected, got: "\"\(shown)\"")
  }

  /// The words of a line. A word in single quotes may contain blanks.
  private static func words(_ line: String) throws(MigrationError) -> [String] {
    var words: [String] = []
    var word: [UInt8] = []
    var (isWord, isQuoted) = (false, false)
    for byte in line.utf8 {
      switch byte {
      case UInt8(ascii: "'"):
        isQuoted.toggle()
        isWord = true
      case UInt8(ascii: " ") where !isQuoted, UInt8(ascii: "\t") where !isQuoted,
        UInt8(ascii: "\r") where !isQuoted:
        if isWord { words.append(String(decoding: word, as: UTF8.self)) }
        word.removeAll(keepingCapacity: true)
        isWord = false
      case UInt8(ascii: "#") where !isQuoted && !isWord && words.isEmpty: return []
      default:
        word.append(byte)
        isWord = true
      }
    }
    guard !isQuoted else { throw refusal("a quotation does not end", "'", line) }
    if isWord { words.append(String(decoding: word, as: UTF8.self)) }
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
    for word in words { try Self.requireHarmless(word) }
    return .init(status: status, tool: tool, arguments: Array(words))
  }

  /// Refuses a word by which a call would start a program, or reach a file outside the folder where it is made. A
  /// scenario is often somebody else's.
  private static func requireHarmless(_ word: String) throws(MigrationError) {
    let option = word.prefix { $0 != "=" }
    guard !startingOptions.contains(String(option)) else {
      throw refusal("a call may not start a program", "no \(option)", word)
    }
    // A path is a word, or the part of one after an equals sign: --option=FILE, BLOCK=FILE, A=FILE.
    for part in word.utf8.split(separator: UInt8(ascii: "=")) {
      let steps = part.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
      guard steps.count == 1 || !steps[0].isEmpty,
        !steps.contains(where: { $0.elementsEqual("..".utf8) })
      else {
        throw refusal(
          "a word names something outside the folder of the calls",
          "a path that is not absolute and has no step ..", word)
      }
    }
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
