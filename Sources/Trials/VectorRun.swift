package import Attacks
package import Errors
internal import FileIO
package import Threads

/// Runs the vectors of a folder and compares each verdict with the required one.
package struct VectorRun {
  /// The settings that all trials share.
  struct Setting: Sendable {
    var fixtures: VectorFixtures
    /// A line for the shell that runs another program; nil for our own code.
    var against: String?
    var runsCommands: Bool
    /// The folder with our tools.
    var tools: String
  }

  private let vectors: [Vector]
  private let setting: Setting

  /// - Parameters:
  ///   - folder: the folder of the vectors; fixtures lie below its parent.
  ///   - subjects: the subjects whose vectors are run; empty for all, or for streams only when
  ///     another program is run.
  ///   - command: a line for the shell that runs another program; nil for our own code.
  ///   - runsCommands: whether the calls of our tools in vectors are run, too.
  /// - Throws: an error in a vector.
  package init(
    _ folder: String, of subjects: [Vector.Subject], against command: String?, runsCommands: Bool
  ) throws(MigrationError) {
    let all = try Vector.all(in: folder)
    let subjects = subjects.isEmpty && command != nil ? [.stream] : subjects
    vectors = subjects.isEmpty ? all : all.filter { subjects.contains($0.subject) }
    setting = Setting(
      fixtures: try VectorFixtures("\(folder)/.."), against: command,
      runsCommands: runsCommands,
      tools: try programFolder())
  }

  /// Number of vectors to be run.
  package var count: Int { vectors.count }

  /// Runs all vectors on the threads of `crew`.
  /// - Parameter progress: called with the number of vectors that are done.
  /// - Throws: the error of the first vector that cannot be run.
  package func run(
    _ crew: WorkCrew, progress: (Int) -> Void
  ) throws(MigrationError) -> [VectorTrial] {
    let trials = vectors.map { VectorTrial($0, setting) }
    var count = 0
    crew.performAll(trials) { _ in
      count += 1
      progress(count)
    }
    for trial in trials { if let failure = trial.failure { throw failure } }
    return trials
  }
}
