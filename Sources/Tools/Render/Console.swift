package import Errors
internal import FileIO
package import JSON
internal import Wire

/// The output of a tool: results on standard output, everything else on standard error.
///
/// Messages may quote the input, and a terminal obeys control characters, so control characters are
/// escaped.
package final class Console {
  /// The tool's name, which begins each message: "svsm-mig-load".
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

  /// Writes a result, unchanged, to standard output; with `--quiet` only JSON.
  /// - Throws: `IO-WRITE`.
  package func write(_ text: String) throws(MigrationError) {
    endProgress()
    hasWritten = true
    if isQuiet, !wantsJSON { return }
    try StandardStream.endingWithReader { () throws(MigrationError) in
      try OutputFile("-", content: .text).write(text: text)
    }
  }

  /// Writes a JSON document and a newline to standard output.
  /// - Throws: `IO-WRITE`.
  package func write(_ json: JSON) throws(MigrationError) {
    try write(String(decoding: json.pretty, as: UTF8.self) + "\n")
  }

  // MARK: Messages

  /// Prints a line on standard error, unless `--quiet` is given.
  package func note(_ line: String) {
    if !isQuiet { say(RenderedText.printable(line)) }
  }

  /// Prints a line on standard error if `--verbose` is given.
  package func detail(_ line: String) {
    if isVerbose { say(RenderedText.printable(line)) }
  }

  /// Prints which temporary files of killed runs lie beside the outputs: they may hold keys or a
  /// guest's memory.
  package func noteLeftovers(of outputs: [String]) {
    for output in outputs where output != "-" {
      for name in leftovers(of: output) {
        note("\(name) is left over from a killed run; remove it unless a load has to complete it")
      }
    }
  }

  /// Prints which bytes of a file are not part of the stream: zero bytes after it, and bytes after
  /// its given length.
  func note(padding: UInt64, rest: UInt64?) {
    if padding > 0 { note("\(Spelled.count(padding, "zero byte")) after the stream left out") }
    if let rest, rest > 0 { note("\(Spelled.count(rest, "byte")) after --length not looked at") }
  }

  /// Returns a function that prints that the tool waits for the lock of the file at `path`.
  func waiting(for path: String) -> () -> Void {
    { self.note("waiting for the lock of \(path)") }
  }

  /// Prints the warning that model keys are in use, which every tool that uses them gives.
  package func noteModel() {
    note("model keys: for testing only, they protect nothing")
  }

  private func say(_ line: String) {
    endProgress()
    StandardStream.error.say("\(tool): \(line)\n")
  }

  /// Starts a progress line. Only one exists at a time, and only on a terminal.
  /// - Parameters:
  ///   - total: the amount in all, when it is known.
  ///   - unit: the unit in which progress is counted.
  package func startProgress(
    _ verb: String, total: UInt64?, unit: Progress.Unit = .bytes
  ) -> Progress {
    endProgress()
    let progress = Progress(
      verb, total: total, unit: unit, isShown: !isQuiet && StandardStream.error.isTerminal)
    self.progress = progress
    return progress
  }

  /// Removes the progress line.
  package func endProgress() {
    progress?.end()
    progress = nil
  }

  // MARK: The end

  /// Prints why the tool stops: one line on standard error and, with `--json`, the same facts as
  /// JSON on standard output unless a result was written there before.
  /// - Returns: the exit status.
  package func report(_ error: MigrationError) -> Int32 {
    let status = error.code.exitStatus
    let style = Style(for: .error)
    let verdict = Console.verdict(of: error)
    // The line quotes names of files and certificates. Escaping keeps it on one line.
    say("\(style.bad(verdict)) \(RenderedText.printable(error.spelled))")
    if wantsJSON, !hasWritten { try? write(refusal(error)) }
    return status
  }

  /// "refused" when the input is at fault, else "failed".
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
  /// The fields of the error that are set: `code`, `what`, `section`, `offset`, `expected`, `got`.
  /// The offset is a number of bytes in decimal digits, as a string.
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
