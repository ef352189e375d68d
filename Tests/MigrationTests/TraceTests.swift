import Errors
import Guest
import Migration
import MigrationSupport
import QEMUStream
import SEVSNP
import SVSM
import TestSupport
import Testing

/// The steps of the trusted side.
@Suite struct TraceTests {
  private let scratch: Scratch
  private let destination: SVSMInstance

  init() throws {
    scratch = try Scratch()
    destination = try Lab.instance(1)
  }

  /// The steps that `body` makes.
  private func steps(_ body: (SessionTrace) throws -> Void) rethrows -> [TraceStep] {
    var steps: [TraceStep] = []
    let trace = SessionTrace { steps.append($0) }
    try body(trace)
    trace.end()
    return steps
  }

  private func save(
    _ moments: [[(state: PageState, byte: UInt8)]], jobs: Int = 2, trace: SessionTrace? = nil
  ) throws -> [UInt8] {
    let guests = try moments.map { try SmallGuest.make($0) }
    return try Lab.save(
      guests[0], rounds: Array(guests[1...]), to: destination, jobs: jobs, trace: trace)
  }

  private func verify(
    _ stream: [UInt8], jobs: Int = 2, withKeys: Bool = true, trace: SessionTrace
  ) throws -> VerificationReport {
    let input = StreamInput(ArraySource(stream))
    let verifier = Lab.verifier(jobs: jobs)
    return withKeys
      ? try verifier.verify(input, for: destination, trace: trace)
      : try verifier.verify(input, offer: destination.offer, trace: trace)
  }

  @Test("the steps do not depend on the number of threads")
  func stepsDoNotDependOnThreads() throws {
    let stream = try save(everyWay)
    let saves = try [1, 4].map { jobs in
      try steps { _ = try save(everyWay, jobs: jobs, trace: $0) }
    }
    #expect(saves[0] == saves[1])
    let loads = try [1, 4].map { jobs in
      try steps {
        try Lab.load(stream, for: destination, to: scratch["out\(jobs)"], jobs: jobs, trace: $0)
      }
    }
    #expect(loads[0] == loads[1])
    let verifications = try [1, 4].map { jobs in
      try steps { _ = try verify(stream, jobs: jobs, trace: $0) }
    }
    #expect(verifications[0] == verifications[1])
    #expect(saves[0].map(\.number) == Array(1...UInt64(saves[0].count)))
  }

  @Test("a verifier has the steps of a load, with and without keys")
  func aVerifierHasTheStepsOfALoad() throws {
    let stream = try save(everyWay)
    let load = try steps {
      try Lab.load(stream, for: destination, to: scratch["out"], trace: $0)
    }
    #expect(load.count > 10)
    #expect(try steps { _ = try verify(stream, trace: $0) } == load)
    #expect(try steps { _ = try verify(stream, withKeys: false, trace: $0) } == load)
  }

  @Test("both ends say the same of page records and tokens, and where they are")
  func bothEndsSayTheSame() throws {
    var stream: [UInt8] = []
    let source = try steps { stream = try save(everyWay, trace: $0) }
    let load = try steps {
      try Lab.load(stream, for: destination, to: scratch["out"], trace: $0)
    }
    for (sent, received) in [
      (TraceCall.packagePages, TraceCall.processPages), (.closeEpoch, .processEpochToken),
      (.commit, .processCommit),
    ] {
      let (mine, theirs) = (
        source.filter { $0.call == sent }, load.filter { $0.call == received }
      )
      #expect(!mine.isEmpty)
      #expect(mine.map(\.offset) == theirs.map(\.offset))
      #expect(mine.map(\.pages) == theirs.map(\.pages))
      #expect(mine.map(\.counts) == theirs.map(\.counts))
      #expect(mine.map(\.section) == theirs.map(\.section))
    }
    let finals = source.filter { $0.final != nil }
    #expect(finals.map(\.offset) == load.filter { $0.final != nil }.map(\.offset))
    #expect(source.first?.before == "ready" && source.last?.call == .signSeal)
  }

  @Test("pages that follow each other are one step, however many batches they are")
  func pagesThatFollowEachOtherAreOneStep() throws {
    let pages = [(state: PageState, byte: UInt8)](repeating: (.validated, 7), count: 200)
    let stream = try save([pages])
    let load = try steps {
      try Lab.load(stream, for: destination, to: scratch["out"], trace: $0)
    }
    let runs = load.filter { $0.call == .processPages }
    #expect(runs.count == 1)
    #expect(runs.first?.pages?.count == 200 && runs.first?.counts.present == 200)
    #expect(
      runs.first?.changes.map(\.pages) == [0..<200 * 4096]
        && runs.first?.changes.map(\.after) == [.present])
  }

  @Test("an epoch begins with the page states that the guest has changed")
  func anEpochBeginsWithItsChanges() throws {
    let source = try steps { _ = try save(everyWay, trace: $0) }
    let begins = source.filter { $0.call == .beginEpoch }
    #expect(begins.map(\.epoch) == [2, 3])
    for (step, (before, now)) in zip(begins, zip(everyWay, everyWay.dropFirst())) {
      let changed = zip(before, now).count { $0.state != $1.state }
      let pages = step.changes.reduce(0) { $0 + ($1.pages.upperBound - $1.pages.lowerBound) / 4096 }
      #expect(pages == UInt64(changed) && step.changesOmitted == 0)
    }
    #expect(source.contains { $0.call == .checkPages })
  }

  @Test("the last step of a load that is refused is the refusal, and what came before is there")
  func theLastStepIsTheRefusal() throws {
    let pages = [(state: PageState, byte: UInt8)](repeating: (.validated, 7), count: 200)
    var stream = try save([pages])
    let good = try steps {
      try Lab.load(stream, for: destination, to: scratch["good"], trace: $0)
    }
    let start = try #require(good.first { $0.call == .processPages }?.offset)
    let place = start + 150 * UInt64(SNPStreamReader.pageStride)
    stream[Int(place) + 100] ^= 1
    for jobs in [1, 4] {
      let bad = steps { trace in
        _ = refusalCode {
          try Lab.load(stream, for: destination, to: scratch["bad"], jobs: jobs, trace: trace)
        }
      }
      #expect(bad.last?.refusal == .pageTag && bad.last?.offset == place)
      #expect(bad.last?.before == "importing" && bad.last?.after == "dead")
      #expect(bad.dropLast().last?.pages?.count == 150)
    }
    let audit = try steps { _ = try verify(stream, trace: $0) }
    #expect(audit.filter { $0.refusal != nil }.map(\.offset).first == place)
    #expect(audit.last?.call == .processCommit)
  }

  @Test("a session that is refused is one step")
  func aRefusedSessionIsOneStep() throws {
    let stream = try save([everyWay[0]])
    let other = try Lab.instance(3)
    let bad = steps { trace in
      _ = refusalCode { try Lab.load(stream, for: other, to: scratch["bad"], trace: trace) }
    }
    #expect(bad.map(\.call) == [.processTransferData])
    #expect(bad.first?.refusal == .sessionRecipient && bad.first?.after == "ready")
  }

  @Test("a replay has the steps of a load up to its moment")
  func aReplayHasTheStepsUpToItsMoment() throws {
    let stream = try save(everyWay)
    let load = try steps {
      try Lab.load(stream, for: destination, to: scratch["out"], trace: $0)
    }
    let replay = try steps {
      _ = try Lab.replay(stream, until: GuestMoment(epoch: 2), for: destination, trace: $0)
    }
    #expect(replay == Array(load.prefix(replay.count)))
    #expect(replay.last?.call == .processEpochToken && replay.last?.epoch == 2)
  }
}
