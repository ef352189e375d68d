internal import ArgumentParser
internal import Errors
internal import FileIO
internal import JSON
internal import SVSM

/// The option `--trace`: a file with the steps of the trusted side.
struct TraceOption: ParsableArguments {
  @Option(
    name: .customLong("trace"),
    help: ArgumentHelp(
      "Write each step of the trusted side to this file, one line of JSON for each.",
      discussion: """
        The file is also written when the input is refused; where the trusted side refused, its last step is \
        the refusal. It holds neither keys nor content of private pages.
        """, valueName: "file"),
    completion: .file(extensions: ["jsonl"]))
  var path: String?

  /// Refuses standard output, which the tool needs for other results.
  func validate() throws {
    guard path != "-" else { throw ValidationError("A trace needs a file of its own.") }
  }

  /// Refuses a trace that would replace an input or another output.
  /// - Throws: `OUTPUT-SAME`.
  func refuseSame(inputs: [String], output: String? = nil) throws(MigrationError) {
    guard let path else { return }
    try Tools.refuseSame(inputs: inputs, as: path)
    if let output { try FileIO.refuseSame(outputs: path, output) }
  }

  /// Runs `body` with a trace, and writes the trace whether or not `body` succeeds.
  /// - Parameters:
  ///   - side: the side whose steps are traced.
  ///   - force: whether an existing file may be replaced.
  ///   - done: what remains done if only the trace cannot be written, as a clause.
  /// - Throws: what `body` throws; `OUTPUT-EXISTS`, `OUTPUT-CREATE`, `IO-WRITE`.
  func run<Value>(
    of side: TraceFile.Side, force: Bool = false, done: String,
    _ body: (SessionTrace?) throws -> Value
  ) throws -> Value {
    guard let path else { return try body(nil) }
    let file = try TraceFile(path, of: side, force: force)
    let value: Value
    do {
      value = try body(file.session)
    } catch let refusal as MigrationError {
      do throws(MigrationError) {
        try file.finish()
      } catch {
        throw refusal.adding("its trace is not written: \(error.spelled)")
      }
      throw refusal
    }
    do throws(MigrationError) {
      try file.finish()
    } catch {
      throw error.adding(done)
    }
    return value
  }
}

/// A trace that is being written: lines of JSON, of which the first names the schema.
final class TraceFile {
  /// The side whose steps are traced.
  enum Side: String { case source, destination, verifier }

  static let schema = "svsm-migration/trace/1"
  /// Number of bytes that are collected before they are written.
  private static let pieceSize = 64 << 10

  private let file: OutputFile
  private var text: [UInt8] = []
  /// Why no more is written.
  private var failure: MigrationError?
  /// The trace whose steps are written.
  private(set) lazy var session = SessionTrace { [unowned self] step in
    hasSteps = true
    append(step.json)
  }
  private var hasSteps = false

  /// - Throws: `OUTPUT-EXISTS`, `OUTPUT-CREATE`.
  init(_ path: String, of side: Side, force: Bool) throws(MigrationError) {
    file = try OutputFile(path, force: force, content: .text, permissions: .private)
    append(["schema": .string(Self.schema), "side": .string(side.rawValue)])
  }

  private func append(_ line: JSON) {
    text += line.compact
    text.append(0x0A)
    if text.count >= Self.pieceSize { flush() }
  }

  private func flush() {
    guard failure == nil else { return text.removeAll() }
    do throws(MigrationError) {
      try file.write(text.span)
    } catch {
      failure = error
    }
    text.removeAll(keepingCapacity: true)
  }

  /// Writes the last steps, and gives the file its name. Without any step nothing is left of it.
  /// - Throws: `IO-WRITE`, `OUTPUT-CREATE`, `OUTPUT-EXISTS`.
  func finish() throws(MigrationError) {
    session.end()
    guard hasSteps else { return file.discard() }
    flush()
    if let failure { throw failure }
    try file.commit()
  }
}
