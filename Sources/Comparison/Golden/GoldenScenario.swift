package import Errors
internal import FileIO
internal import Wire

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

  /// One line of a scenario.
  package struct Step: Sendable, Equatable {
    /// Counted from 1.
    package var line: Int
    package var action: Action
  }

  package enum Action: Sendable, Equatable {
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

  /// Path of its folder from the folder of all scenarios; "." for that folder itself.
  package let name: String
  package private(set) var steps: [Step] = []

  /// Reads the scenarios in a folder and in all folders below it, each before those in its own folders.
  /// - Parameters:
  ///   - folder: of the scenarios. No symbolic link to a folder below it is followed, nor one of a name that
  ///     begins with a full stop.
  ///   - tools: names of the tools that there are.
  /// - Throws: `GOLDEN-SYNTAX`, also when there is none; `INPUT-OPEN`, `INPUT-KIND`, `IO-READ`.
  package static func all(
    in folder: String, tools: [String]
  ) throws(MigrationError) -> [GoldenScenario] {
    var found: [GoldenScenario] = []
    // The last one is the next.
    var waiting = ["."]
    while let name = waiting.popLast() {
      let inner = name == "." ? folder : "\(folder)/\(name)"
      let names = try fileNames(in: inner)
      if names.contains(fileName), !isFolder("\(inner)/\(fileName)") {
        let bytes = try InputFile("\(inner)/\(fileName)", .member).readAll(limit: sizeLimit)
        found.append(
          try GoldenScenario(String(decoding: bytes, as: UTF8.self), name: name, tools: tools))
      }
      waiting += names.reversed()
        .filter { !$0.hasPrefix(".") && isOwnFolder("\(inner)/\($0)") }
        .map { name == "." ? $0 : "\(name)/\($0)" }
    }
    guard !found.isEmpty else {
      throw MigrationError(
        .goldenSyntax, "no scenario in this folder, nor in a folder below it", in: .file(folder),
        expected: "files of the name \(fileName)")
    }
    return found
  }

  /// - Parameter tools: names of the tools that there are.
  /// - Throws: `GOLDEN-SYNTAX`, with the line.
  package init(_ text: String, name: String, tools: [String]) throws(MigrationError) {
    self.name = name
    let syntax = GoldenSyntax(
      depth: name == "." ? 0 : name.split(separator: "/").count, tools: tools)
    // Lines by the names that they have.
    var named: [String: Step] = [:]
    let lines = text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    for (index, line) in lines.enumerated() {
      do throws(MigrationError) {
        guard let text = String(streamSafe: line) else {
          throw MigrationError(
            .goldenSyntax, "line is not UTF-8, or has more than 30 combining marks in a row")
        }
        guard let action = try syntax.action(text) else { continue }
        let step = Step(line: index + 1, action: action)
        if let name = action.fileName {
          if let other = named[name] { throw Self.refusal(of: name, action, other) }
          named[name] = step
        }
        steps.append(step)
      } catch {
        var error = error
        error.place = .line(index + 1, of: "\(name)/\(Self.fileName)")
        throw error
      }
    }
  }

  /// The refusal of a second use of a name: `--update` would write one file over another, an input among them.
  private static func refusal(of name: String, _ action: Action, _ other: Step) -> MigrationError {
    let words =
      switch (action, other.action) {
      case (.input, .input): "two inputs have one name"
      case (.input, _), (_, .input): "an expected file has the name of an input"
      default: "two expected files have one name"
      }
    return MigrationError(
      .goldenSyntax, words, expected: "a name other than that of line \(other.line)",
      got: "\"\(name)\"")
  }
}

extension GoldenScenario.Action {
  /// The file that an input or an expected one is; nil for a line that has none.
  fileprivate var fileName: String? {
    switch self {
    case .input(_, let name), .keep(let name), .print(let name, _): name
    case .run, .open: nil
    }
  }
}
