package import Errors
internal import FileIO
internal import Import
package import Inspection
internal import QEMUStream
package import Threads

/// Runs the scenarios of a folder with the tools beside this program, and compares what they make with the
/// expected files.
package struct GoldenRun {
  package let scenarios: [GoldenScenario]
  private let folder: String
  private let tools: String
  private let isUpdate: Bool
  private let crew: WorkCrew
  private let makeKeys: (String) throws(MigrationError) -> Rehearsal.Keys

  /// - Parameters:
  ///   - folder: of the scenarios.
  ///   - update: whether what differs is written to the expected files.
  ///   - keys: reads an instance file.
  /// - Throws: what reading the scenarios throws.
  package init(
    _ folder: String, update: Bool, crew: WorkCrew,
    keys: @escaping (String) throws(MigrationError) -> Rehearsal.Keys
  ) throws(MigrationError) {
    scenarios = try GoldenScenario.all(in: folder)
    self.folder = folder
    tools = try programFolder()
    (isUpdate, self.crew, makeKeys) = (update, crew, keys)
  }

  /// Runs one scenario.
  /// - Throws: `INPUT-OPEN`, `OUTPUT-CREATE` and what else keeps it from being run.
  package func run(_ scenario: GoldenScenario) throws(MigrationError) -> GoldenOutcome {
    let (work, log) = (try ScratchFolder(), try ScratchFolder())
    defer {
      // Guests are folders with files.
      for name in (try? work.names()) ?? [] { work.removeFolder(name) }
    }
    var outcome = GoldenOutcome(name: scenario.name)
    var instance: String?
    for step in scenario.steps {
      switch step {
      case .input(let path, let name):
        try work.copy("\(folder)/\(scenario.name)/\(path)", as: name)
      case .open(let name): instance = name
      case .run(let call):
        outcome.failure = try self.call(call, in: work, output: log.path("output"), log)
      case .print(let name, let call):
        outcome.failure = try self.call(call, in: work, output: work.path(name), log)
        if outcome.failure == nil {
          outcome.files.append(try file(name, of: scenario, in: work, instance))
        }
      case .keep(let name):
        outcome.files.append(try file(name, of: scenario, in: work, instance))
      }
      if outcome.failure != nil { break }
    }
    return outcome
  }

  private func call(
    _ call: GoldenScenario.Call, in work: ScratchFolder, output: String, _ log: ScratchFolder
  ) throws(MigrationError) -> GoldenOutcome.Failure? {
    let errors = log.path("errors")
    let status = try ChildProcess.run(
      ["\(tools)/svsm-mig-\(call.tool)"] + call.arguments, in: work.path, output: output,
      errors: errors)
    guard status != call.status else { return nil }
    let printed = try? readSmallFile(errors, limit: 1 << 20)
    let lines = String(decoding: printed ?? [], as: UTF8.self).split(separator: "\n").suffix(3)
    return GoldenOutcome.Failure(
      call: call, status: status, message: lines.joined(separator: "\n"))
  }

  /// Compares one file.
  private func file(
    _ name: String, of scenario: GoldenScenario, in work: ScratchFolder, _ instance: String?
  ) throws(MigrationError) -> GoldenOutcome.File {
    let made = try InputFile(work.path(name), .member)
    let path = "\(folder)/\(scenario.name)/\(name)"
    var found = GoldenOutcome.File(name: name, status: .same)
    if try fileNames(in: "\(folder)/\(scenario.name)").contains(name) {
      let expected = try InputFile(path, .member)
      if let first = try FileBytes.firstDifference(expected, made) {
        found.status = .differs
        let keys = try instance.map { (name) throws(MigrationError) in
          try makeKeys(work.path(name))
        }
        found.difference = try difference(path, work.path(name), expected, made, first, keys)
      }
    } else {
      found.status = .missing
    }
    if isUpdate, found.status != .same {
      let output = try OutputFile(path, force: true)
      try made.readPieces { (bytes) throws(MigrationError) in try output.write(bytes) }
      try output.commit()
      found.status = .updated
    }
    return found
  }

  private func difference(
    _ path: String, _ madePath: String, _ expected: InputFile, _ made: InputFile,
    _ first: UInt64, _ keys: Rehearsal.Keys?
  ) throws(MigrationError) -> GoldenDifference {
    let bytes = GoldenDifference.bytes(
      first: first, before: try expected.regularSize(), after: try made.regularSize())
    if let kind = try? expected.kind(), kind.holdsStream {
      // A stream that cannot be read is compared by its bytes.
      if let found = try? streams(path, madePath, keys) { return .streams(found) }
      return bytes
    }
    return TextDifference(expected, made)?.found ?? bytes
  }

  private func streams(
    _ path: String, _ madePath: String, _ keys: Rehearsal.Keys?
  ) throws(MigrationError) -> Comparison {
    let opening = try Side.Opening(crew: crew)
    return try Comparison(
      opening.side(of: .init(path), keys: keys) { _, _ in },
      opening.side(of: .init(madePath), keys: keys) { _, _ in }, ignoring: [])
  }
}
