import Attacks
import TestSupport
import Testing
import Threads
import Trials

@Suite struct VectorRunTests {
  private let run: VectorRun

  init() throws {
    run = try VectorRun(
      Fixture.path("vectors"), of: [.json, .table], against: nil, runsCommands: false)
  }

  @Test func vectorsOfTheSubjectsAreRunAndAgree() throws {
    var told: [Int] = []
    let trials = try run.run(WorkCrew(jobs: 2)) { told.append($0) }
    #expect(trials.count == run.count && run.count > 1)
    #expect(told == Array(1...run.count))
    #expect(trials.allSatisfy { [.json, .table].contains($0.vector.subject) })
    #expect(trials.allSatisfy { $0.outcome == .agrees })
  }
}
