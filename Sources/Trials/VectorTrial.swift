package import Attacks
package import Errors
internal import FileIO
package import Threads

/// Runs one vector with our own code, or with a command.
package final class VectorTrial: WorkItem, @unchecked Sendable {
  /// The result of running a vector.
  package enum Outcome: Equatable {
    case agrees
    /// The verdict is not the required one, and how it differs.
    case differs(Wording)
    /// The vector was not run, and why.
    case notRun(Wording)
  }

  /// The vector to run.
  package let vector: Vector
  /// The result, once the item has been performed.
  package private(set) var outcome = Outcome.agrees
  /// The error because of which the vector cannot be run, although it should be; nil when there is
  /// none.
  package private(set) var failure: MigrationError?
  private let setting: VectorRun.Setting

  init(_ vector: Vector, _ setting: VectorRun.Setting) {
    (self.vector, self.setting) = (vector, setting)
    super.init()
  }

  package override func perform() {
    do throws(MigrationError) {
      outcome = try tried()
    } catch {
      // The line number in a recipe is of little use without the name of the vector.
      var named = error
      named.place = error.place.map { .file("\(vector.name), \($0)") } ?? .file(vector.name)
      failure = named
    }
  }

  private func tried() throws(MigrationError) -> Outcome {
    switch vector.subject {
    case .library: return .notRun("shown by the test \(vector.words[.test] ?? "")")
    case .command:
      guard setting.runsCommands, let line = vector.words[.run] else {
        return .notRun("a call of tools, run with \(.commands)")
      }
      return try runTools(line)
    case .recipe: return judge(try recipe())
    default: break
    }
    let files = try VectorFiles(vector, setting.fixtures)
    if let line = setting.against { return try run(line, files) }
    return judge(try VectorCheck(vector, files).run())
  }

  private func recipe() throws(MigrationError) -> VectorCheck.Said {
    do throws(MigrationError) {
      _ = try VectorFiles(vector, setting.fixtures)
    } catch {
      guard error.code.isRefusal else { throw error }
      return VectorCheck.Said(error)
    }
    return VectorCheck.Said(nil)
  }

  // MARK: Our own code

  private func judge(_ said: VectorCheck.Said) -> Outcome {
    guard case .refused(let code, let keyless, let load) = vector.verdict else {
      guard let refusal = said.keyed ?? said.keyless ?? said.load else { return .agrees }
      return .differs("refused: \(refusal.line)")
    }
    var wrong: [Wording] = []
    func compare(_ name: String, _ refusal: MigrationError?, _ expected: ErrorCode?) {
      guard refusal?.code != expected else { return }
      wrong.append("\(name) says \(refusal?.line ?? "nothing"), not \(Self.named(expected))")
    }
    compare("a reader with keys", said.keyed, code)
    compare("a reader without keys", said.keyless, keyless)
    compare("a destination", said.load, load)
    if wrong.isEmpty, let refusal = said.keyed,
      refusal.place?.name != vector.section || refusal.offset != vector.offset
    {
      wrong.append("found at another place: \(refusal.line)")
    }
    guard let first = wrong.first else { return .agrees }
    return .differs(wrong.dropFirst().reduce(first) { "\($0); \($1)" })
  }

  private static func named(_ code: ErrorCode?) -> String { code?.rawValue ?? "nothing" }

  // MARK: Commands

  private func run(_ line: String, _ files: VectorFiles) throws(MigrationError) -> Outcome {
    guard vector.paths[.policy] == nil || line.contains("{policy}") else {
      return .notRun("it is about a policy, and the command takes none")
    }
    let expected: ErrorCode? =
      switch vector.verdict {
      case .accepted: nil
      case .refused(let code, let keyless, let load):
        // The required code depends on what the command does: a load, a check with keys, or one
        // without keys.
        line.contains("{output}") ? load : line.contains("{instance}") ? code : keyless
      }
    let outcome = try call(files.filled(line), files.scratch, expecting: expected)
    _ = try ShellCommand.run(
      "rm -rf " + ShellCommand.quoted(files.scratch.path("output")), output: "/dev/null")
    return outcome
  }

  /// Runs our tools in an empty folder.
  private func runTools(_ line: String) throws(MigrationError) -> Outcome {
    let files = try VectorFiles(vector, setting.fixtures)
    let folder = ShellCommand.quoted(files.scratch.path("folder"))
    let tools = ShellCommand.quoted(setting.tools)
    var expected: ErrorCode?
    if case .refused(let code, _, _) = vector.verdict { expected = code }
    let outcome = try call(
      "mkdir \(folder) && cd \(folder) && PATH=\(tools):$PATH || exit 127\n" + files.filled(line),
      files.scratch, expecting: expected)
    _ = try ShellCommand.run("rm -rf \(folder)", output: "/dev/null")
    return outcome
  }

  private func call(
    _ line: String, _ scratch: ScratchFolder, expecting expected: ErrorCode?
  ) throws(MigrationError) -> Outcome {
    let output = scratch.path("printed")
    let status = try ShellCommand.run(line, output: output)
    let printed = String(
      decoding: try readSmallFile(output, limit: 64 << 20), as: UTF8.self)
    let last = printed.split(separator: "\n").last { $0.contains("[") } ?? ""
    // The statuses of the shell itself: not found, not executable, ended by a signal. None of them
    // is a verdict.
    guard status < 126 else { return .differs("ended with status \(status): \(last)") }
    guard let expected else {
      return status == 0 ? .agrees : .differs("refused with status \(status): \(last)")
    }
    guard status != 0 else { return .differs("accepted, not \(expected.rawValue)") }
    let codes = Self.codes(in: printed)
    guard codes.isEmpty || codes.contains(expected.rawValue) else {
      return .differs("says \(codes.sorted().joined(separator: ", ")), not \(expected.rawValue)")
    }
    return .agrees
  }

  /// All words in brackets that have the form of a code.
  static func codes(in text: String) -> Set<String> {
    var codes: Set<String> = []
    var rest = text[...]
    while let open = rest.firstIndex(of: "[") {
      rest = rest[rest.index(after: open)...]
      let word = rest.prefix { ("A"..."Z").contains($0) || $0 == "-" }
      if rest.dropFirst(word.count).first == "]", !word.isEmpty { codes.insert(String(word)) }
    }
    return codes
  }
}
