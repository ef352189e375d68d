package import Errors
internal import FileIO
package import JSON
internal import Wire

/// What a tool says and shows: results on standard output, everything else on standard error.
///
/// What it says may quote its input, and a terminal obeys control characters: they are made visible.
package final class Console {
  /// The tool's name, at the head of each message: "svsm-mig-load".
  package let tool: String
  package let isQuiet: Bool
  package let isVerbose: Bool
  package let wantsJSON: Bool
  private var hasWritten = false
  private var progress: Progress?

  package init(tool: String, common: CommonOptions, wantsJSON: Bool = false) {
    self.tool = tool
    isQuiet = common.quiet
    isVerbose = common.verbose
    self.wantsJSON = wantsJSON
  }

  // MARK: Results

  /// Colours for text on standard output.
  package var style: Style { Style(for: .output) }

  /// Writes a result as it is to standard output.
  /// - Throws: `IO-WRITE`.
  package func write(_ text: String) throws(MigrationError) {
    endProgress()
    hasWritten = true
    try OutputFile("-", content: .text).write(text: text)
  }

  /// Writes a JSON document and a newline to standard output.
  /// - Throws: `IO-WRITE`.
  package func write(_ json: JSON) throws(MigrationError) {
    try write(String(decoding: json.pretty, as: UTF8.self) + "\n")
  }

  // MARK: Messages

  /// Says a line on standard error, unless quiet.
  package func note(_ line: String) {
    if !isQuiet { say(RenderedText.printable(line)) }
  }

  /// Says a line on standard error when the user wants to know more.
  package func detail(_ line: String) {
    if isVerbose { say(RenderedText.printable(line)) }
  }

  /// Says what killed runs left beside outputs: it may hold keys or a guest's memory.
  package func noteLeftovers(of outputs: [String]) {
    for output in outputs where output != "-" {
      for name in leftovers(of: output) {
        note("\(name) is left of a run that was killed; remove it unless a load is to name it")
      }
    }
  }

  /// Says what of a file is not the stream: zero bytes after it, and what its length left out.
  func note(padding: UInt64, rest: UInt64?) {
    if padding > 0 { note("\(Spelled.count(padding, "zero byte")) after the stream left out") }
    if let rest, rest > 0 { note("\(Spelled.count(rest, "byte")) after --length not looked at") }
  }

  /// Says, when it is called, that the lock of the file at `path` has to be waited for.
  func waiting(for path: String) -> () -> Void {
    { self.note("waiting for the lock of \(path)") }
  }

  /// The one line that every tool with model keys in hand says.
  package func noteModel() {
    note("model keys: shows the mechanics, protects nothing")
  }

  private func say(_ line: String) {
    endProgress()
    StandardStream.error.say("\(tool): \(line)\n")
  }

  /// Starts a progress line. There is one at a time, and only on a terminal.
  /// - Parameters:
  ///   - total: how much there is in all, when that is known.
  ///   - unit: what it is counted in.
  package func startProgress(
    _ verb: String, total: UInt64?, unit: Progress.Unit = .bytes
  ) -> Progress {
    endProgress()
    let progress = Progress(
      verb, total: total, unit: unit, isShown: !isQuiet && StandardStream.error.isTerminal)
    self.progress = progress
    return progress
  }

  /// Takes the progress line away.
  package func endProgress() {
    progress?.end()
    progress = nil
  }

  // MARK: The end

  /// Says why the tool stops: one line on standard error, and under `--json` the same as fields on
  /// standard output when no result stands there yet.
  /// - Returns: the exit status.
  package func report(_ error: MigrationError) -> Int32 {
    let status = error.code.exitStatus
    let style = Style(for: .error)
    let verdict = Console.verdict(of: error)
    // It quotes names of files and certificates: it stays one line, whatever they hold.
    say("\(style.bad(verdict)) \(RenderedText.printable(error.spelled))")
    if wantsJSON, !hasWritten { try? write(refusal(error)) }
    return status
  }

  /// "refused" when it is the input's fault, else "failed".
  static func verdict(of error: MigrationError) -> String {
    error.code.isRefusal ? "refused" : "failed"
  }

  /// A refusal as JSON (`Formats/json.md`).
  package func refusal(_ error: MigrationError) -> JSON {
    var members: [JSON.Member] = [
      .init("tool", .string(tool)), .init("status", .string(Console.verdict(of: error))),
    ]
    members += error.jsonMembers
    members.append(.init("exitStatus", JSON(error.code.exitStatus)))
    return .object(members)
  }
}

extension MigrationError {
  /// The fields of the error, those that are there: `code`, `what`, `section`, `offset`,
  /// `expected`, `got`. The offset is a number of bytes in decimal digits, as a string.
  package var jsonMembers: [JSON.Member] {
    var members: [JSON.Member] = [
      .init("code", .string(code.rawValue)), .init("what", .string(what.spelled)),
    ]
    if let place { members.append(.init("section", .string(place.name))) }
    if let offset { members.append(.init("offset", JSON(offset))) }
    if let expected { members.append(.init("expected", .string(expected.spelled))) }
    if let got { members.append(.init("got", .string(got.spelled))) }
    return members
  }
}
