import Synchronization
import Testing
import Threads

/// Counts how often it was done.
private final class Counted: WorkItem, @unchecked Sendable {
  var times = 0
  override func perform() { times += 1 }
}

/// Is done only when its partner is being done too.
private final class Meeting: WorkItem, @unchecked Sendable {
  let arrived: Atomics
  init(_ arrived: Atomics) { self.arrived = arrived }
  override func perform() {
    arrived.count.add(1, ordering: .sequentiallyConsistent)
    while arrived.count.load(ordering: .sequentiallyConsistent) < 2 {}
  }
}

private final class Atomics: Sendable {
  let count = Atomic<Int>(0)
}

@Suite struct WorkCrewTests {
  @Test(arguments: [1, 2, 3, 8])
  func everyItemIsDoneOnceForEachTimeItIsSubmitted(jobs: Int) {
    let crew = WorkCrew(jobs: jobs)
    let items = (0..<50).map { _ in Counted() }
    for round in 1...20 {
      for item in items { crew.submit(item) }
      for item in items {
        crew.finish(item)
        #expect(item.times == round)
      }
    }
  }

  @Test func itemsAreFinishedInAnyOrder() {
    let crew = WorkCrew(jobs: 3)
    let items = (0..<50).map { _ in Counted() }
    for item in items { crew.submit(item) }
    for item in items.reversed() { crew.finish(item) }
    #expect(items.allSatisfy { $0.times == 1 })
  }

  @Test(.timeLimit(.minutes(1)))
  func theOwnerWorksWhileHeWaits() {
    let crew = WorkCrew(jobs: 2)
    let arrived = Atomics()
    // Two threads are needed: one is the owner's own.
    let items = [Meeting(arrived), Meeting(arrived)]
    for item in items { crew.submit(item) }
    for item in items { crew.finish(item) }
    #expect(arrived.count.load(ordering: .relaxed) == 2)
  }

  @Test(.timeLimit(.minutes(1)))
  func aCrewEndsThoughNobodyWaitedForItsItems() {
    for _ in 0..<50 {
      let crew = WorkCrew(jobs: 4)
      for _ in 0..<20 { crew.submit(Counted()) }
    }
  }

  @Test(arguments: [(0, 1), (-3, 1), (1, 1), (5, 5), (.max, WorkCrew.maximumJobs)])
  func aCrewHasAsManyJobsAsAskedWithinReason(asked: Int, jobs: Int) {
    #expect(WorkCrew(jobs: asked).jobs == jobs)
  }

  @Test func thereIsAtLeastOneProcessor() {
    #expect(Processors.available >= 1)
  }
}
