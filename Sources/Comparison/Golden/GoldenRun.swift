package import Errors
internal import FileIO
internal import Import
package import Inspection
package import Threads

/// Runs the scenarios of a folder with the tools beside this program, and compares what they make with the
/// expected files.
package struct GoldenRun {
  /// What the names of all tools begin with.
  private static let toolPrefix = "svsm-mig-"

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
    tools = try programFolder()
    scenarios = try GoldenScenario.all(in: folder, tools: Self.toolNames(in: tools))
    self.folder = folder
    (isUpdate, self.crew, makeKeys) = (update, crew, keys)
  }

  /// What may stand in a scenario for each tool in a folder: "inspect" for svsm-mig-inspect.
  private static func toolNames(in folder: String) throws(MigrationError) -> [String] {
    // A build leaves folders of other names beside them.
    try fileNames(in: folder)
      .filter { $0.hasPrefix(toolPrefix) && !$0.contains(".") && !isFolder("\(folder)/\($0)") }
      .map { String($0.dropFirst(toolPrefix.count)) }
  }

  /// Runs one scenario, up to the first line that cannot be done.
  /// - Throws: `OUTPUT-CREATE` when there is no place for it.
  package func run(_ scenario: GoldenScenario) throws(MigrationError) -> GoldenOutcome {
    let place = Workplace(
      scenario: scenario, folder: "\(folder)/\(scenario.name)", work: try ScratchFolder(),
      log: try ScratchFolder())
    defer {
      // Guests are folders with files.
      for name in (try? place.work.names()) ?? [] { place.work.removeFolder(name) }
    }
    var outcome = GoldenOutcome(name: scenario.name)
    var keys: Rehearsal.Keys?
    for step in scenario.steps {
      do throws(MigrationError) {
        let reason = try take(step.action, in: place, &keys, &outcome.files)
        outcome.failure = reason.map { .init(line: step.line, reason: $0) }
      } catch {
        let shown = error.hiding(folder: place.work.path)
        outcome.failure = .init(line: step.line, reason: .refused(shown))
      }
      if outcome.failure != nil { break }
    }
    return outcome
  }

  /// Where one scenario is run.
  private struct Workplace {
    let scenario: GoldenScenario
    /// Of the scenario and its expected files.
    let folder: String
    /// Where the calls are made.
    let work: ScratchFolder
    /// What calls print that is not kept.
    let log: ScratchFolder

    /// Path of a file that the scenario has so far.
    /// - Throws: `INPUT-OPEN`, `INPUT-KIND`.
    func made(_ name: String) throws(MigrationError) -> String {
      guard try work.names().contains(name) else {
        throw MigrationError(.inputOpen, "no line before this one has made \(name)")
      }
      guard !isFolder(work.path(name)) else {
        throw MigrationError(.inputKind, "\(name) is a folder", expected: "a file")
      }
      return work.path(name)
    }
  }

  private func take(
    _ action: GoldenScenario.Action, in place: Workplace, _ keys: inout Rehearsal.Keys?,
    _ files: inout [GoldenOutcome.File]
  ) throws(MigrationError) -> GoldenOutcome.Failure.Reason? {
    switch action {
    case .input(let path, let name): try copy(path, as: name, to: place)
    case .open(let name): keys = try makeKeys(place.made(name))
    case .run(let call): return try self.call(call, in: place, output: place.log.path("output"))
    case .print(let name, let call):
      guard try !place.work.names().contains(name) else {
        throw MigrationError(.outputCreate, "a line before this one has made \(name)")
      }
      if let failure = try self.call(call, in: place, output: place.work.path(name)) {
        return failure
      }
      files.append(try file(name, of: place, keys))
    case .keep(let name): files.append(try file(name, of: place, keys))
    }
    return nil
  }

  /// Copies an input. Each folder on the way to it is opened in the one before, and none through a symbolic link,
  /// so that nothing outside the folder of all scenarios is read.
  private func copy(
    _ path: String, as name: String, to place: Workplace
  ) throws(MigrationError) {
    var steps = place.scenario.name.split(separator: "/").filter { $0 != "." }
    for step in path.split(separator: "/") {
      if step == ".." { _ = steps.popLast() } else { steps.append(step) }
    }
    var source = try InputFolder(folder)
    for step in steps.dropLast() { source = try source.folder(String(step)) }
    try place.work.copy(name, of: source)
  }

  private func call(
    _ call: GoldenScenario.Call, in place: Workplace, output: String
  ) throws(MigrationError) -> GoldenOutcome.Failure.Reason? {
    let errors = place.log.path("errors")
    let status = try ChildProcess.run(
      ["\(tools)/\(Self.toolPrefix)\(call.tool)"] + call.arguments, in: place.work.path,
      output: output, errors: errors)
    guard status != call.status else { return nil }
    let printed = try? readSmallFile(errors, limit: 1 << 20)
    let lines = String(decoding: printed ?? [], as: UTF8.self).split(separator: "\n").suffix(3)
    return .ended(call, status: status, message: lines.joined(separator: "\n"))
  }

  /// Compares one file.
  private func file(
    _ name: String, of place: Workplace, _ keys: Rehearsal.Keys?
  ) throws(MigrationError) -> GoldenOutcome.File {
    let pair = GoldenPair(
      name: "\(place.scenario.name)/\(name)", expected: "\(place.folder)/\(name)",
      made: try place.made(name))
    let made = try InputFile(pair.made, .member)
    var found = GoldenOutcome.File(name: name, status: .missing)
    if try fileNames(in: place.folder).contains(name) {
      found.difference = try pair.difference(made, keys, crew)
      found.status = found.difference == nil ? .same : .differs
    }
    if isUpdate, found.status != .same {
      let output = try OutputFile(pair.expected, force: true)
      try made.readPieces { (bytes) throws(MigrationError) in try output.write(bytes) }
      try output.commit()
      found.status = .updated
    }
    return found
  }
}
