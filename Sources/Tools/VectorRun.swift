internal import ArgumentParser
internal import Attacks
internal import Errors
internal import FileIO
internal import Threads

/// Runs the vectors of a folder and says which come out as they must.
struct VectorRun {
  /// What all have in common.
  struct Setting: Sendable {
    var fixtures: VectorFixtures
    /// A line for the shell; nil for our own code.
    var against: String?
    var runsCommands: Bool
    /// The folder of our tools.
    var tools: String
  }

  private let vectors: [Vector]
  private let setting: Setting

  /// - Parameter folder: the vectors; fixtures lie below the folder it lies in.
  /// - Throws: what is wrong with a vector.
  init(_ folder: String, _ options: VectorOptions) throws(MigrationError) {
    let all = try Vector.all(in: folder)
    let subjects =
      options.subject.isEmpty && options.against != nil ? [.stream] : options.subject
    vectors = subjects.isEmpty ? all : all.filter { subjects.contains($0.subject) }
    let program = try realPath(of: "/proc/self/exe")
    setting = Setting(
      fixtures: try VectorFixtures("\(folder)/.."), against: options.against,
      runsCommands: options.commands,
      tools: String(program.prefix(upTo: program.lastIndex(of: "/") ?? program.startIndex)))
  }

  /// - Throws: the first vector that cannot be run; `ExitCode` 1 when one does not come out as it
  ///   must, or none was run.
  func run(_ console: Console, _ crew: WorkCrew) throws {
    let trials = vectors.map { VectorTrial($0, setting) }
    let progress = console.startProgress(
      "vectors", total: UInt64(trials.count), unit: .each("vectors"))
    var count: UInt64 = 0
    crew.performAll(trials) { _ in
      count += 1
      progress.update(count)
    }
    for trial in trials { if let failure = trial.failure { throw failure } }
    let table = VectorTable(trials)
    if console.wantsJSON {
      try console.write(table.json)
    } else {
      try console.write(table.text(console.style))
    }
    guard table.isGood else { throw ExitCode(1) }
  }
}
