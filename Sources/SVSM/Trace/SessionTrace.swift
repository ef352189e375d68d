package import Errors
internal import SEVSNP
internal import Wire

/// Observes the trusted side of one migration, and reports its steps in the order of the stream.
///
/// `SourceSVSM`, `DestinationSVSM` and the audit of a stream call it when a record was made or
/// judged. Page records are joined to runs by what they say and where they are, so that the steps
/// do not depend on batches or on the number of threads. Without a trace nothing is called for a
/// page.
package final class SessionTrace {
  private let receive: (TraceStep) -> Void
  /// Number of steps that were received.
  private var number: UInt64 = 0
  private var epoch: UInt32 = 1
  private var counts = TraceStep.Counts()
  /// A run of pages to which the next pages may belong.
  private var run: TraceStep?
  /// The stream offset at which the next record would continue the run.
  private var due: UInt64?
  /// At a source: where the VMM puts the record that the next call gives to it, and the bytes from
  /// there to the record after it.
  package var place: (offset: UInt64, stride: UInt64)?

  /// - Parameter receive: called with each step.
  package init(_ receive: @escaping (TraceStep) -> Void) { self.receive = receive }

  /// Reports the last run of pages. To be called after the last call of the session.
  package func end() {
    guard var step = run else { return }
    run = nil
    step.changes = step.pages?.changes ?? []
    emit(step)
  }

  private func emit(_ step: TraceStep) {
    var step = step
    number += 1
    step.number = number
    receive(step)
  }

  private func step(
    _ call: TraceCall, _ before: String, _ after: String, at offset: UInt64? = nil
  ) -> TraceStep {
    TraceStep(
      call: call, before: before, after: after, epoch: epoch, counts: counts, section: call.section,
      offset: offset)
  }

  // MARK: Calls without pages

  /// Notes a call that is not about a record of its own kind.
  package func note(
    _ call: TraceCall, from before: String, to after: String, at offset: UInt64? = nil
  ) {
    end()
    emit(step(call, before, after, at: offset))
  }

  /// Notes that the source's guest has other page states now.
  func note(_ changes: some Sequence<PageStateChanges.Element>, in phase: String) {
    end()
    var step = step(.beginEpoch, phase, phase)
    for change in changes {
      guard step.changes.count < TraceStep.changeLimit else {
        step.changesOmitted += 1
        continue
      }
      step.changes.append(
        TraceStep.Change(
          pages: change.range, before: .known(change.before), after: .known(change.now)))
    }
    emit(step)
  }

  /// Notes a token; if it is not the last, the next epoch begins.
  package func note(
    _ token: EpochToken, by call: TraceCall, from before: String, to after: String,
    at offset: UInt64?
  ) {
    end()
    var step = step(call, before, after, at: offset)
    step.isLast = token.isLast
    emit(step)
    guard !token.isLast else { return }
    epoch &+= 1
    counts.epoch = PageCounts()
  }

  /// Notes a final record.
  package func note(
    _ record: FinalRecord, by call: TraceCall, from before: String, to after: String,
    at offset: UInt64?
  ) {
    end()
    counts.final += 1
    var step = step(call, before, after, at: offset)
    step.final = TraceStep.Final(
      kind: record.kind, index: record.index, sequence: record.sequence)
    step.section = .section("snp-\(record.kind.row.name)")
    emit(step)
  }

  /// Notes a call that was refused.
  /// - Parameters:
  ///   - section: the section of the record that was refused, if it is not that of the call.
  ///   - offset: stream offset of what was refused; nil at a source, which has not sent it.
  package func refuse(
    _ call: TraceCall, from before: String, to after: String, with code: ErrorCode,
    in section: Place? = nil, at offset: UInt64? = nil
  ) {
    end()
    var step = step(call, before, after, at: offset)
    step.refusal = code
    if let section { step.section = section }
    emit(step)
  }

  /// Takes `open` for the open epoch, in an audit that goes on after a token was refused.
  package func follow(_ open: UInt32) {
    guard open != epoch else { return }
    end()
    epoch = open
    counts.epoch = PageCounts()
  }

  // MARK: Runs of pages

  /// Notes a page record.
  /// - Parameter stride: bytes from one record to the next.
  package func note(
    _ page: PageMetadata, by call: TraceCall, in phase: String, at offset: UInt64?, stride: UInt64
  ) {
    counts.records += 1
    counts.epoch.add(page.operation)
    switch page.operation {
    case .migrate: counts.present += 1
    case .migrateAgain: break
    case .cancel: counts.present -= min(counts.present, 1)
    }
    let record = TraceStep.Pages.Record(
      sequence: page.sequence, operation: page.operation, size: page.size,
      permissions: page.permissions)
    if offset != due || !extendRun(call, by: 1, at: page.gpa, record) {
      end()
      var step = step(call, phase, phase, at: offset)
      step.pages = TraceStep.Pages(gpa: page.gpa, count: 1, record: record)
      run = step
    }
    run?.counts = counts
    due = offset.map { $0 &+ stride }
  }

  /// Notes pages that are as they were exported.
  func note(compared count: Int, at gpa: UInt64, in phase: String) {
    if extendRun(.checkPages, by: UInt64(count), at: gpa, nil) { return }
    end()
    var step = step(.checkPages, phase, phase)
    step.pages = TraceStep.Pages(gpa: gpa, count: UInt64(count), record: nil)
    run = step
  }

  /// Adds pages to the run, if they continue it.
  private func extendRun(
    _ call: TraceCall, by count: UInt64, at gpa: UInt64, _ record: TraceStep.Pages.Record?
  ) -> Bool {
    guard let step = run, step.call == call, step.epoch == epoch, let pages = step.pages,
      gpa == pages.gpa &+ pages.count &* Page.size64
    else { return false }
    var expected = pages.record
    expected?.sequence &+= pages.count
    guard record == expected else { return false }
    run?.pages?.count += count
    return true
  }
}

extension TraceStep.Pages {
  /// What the records change at the destination. A newer version of a page changes no state.
  fileprivate var changes: [TraceStep.Change] {
    let pages = gpa..<(gpa &+ count &* Page.size64)
    switch record?.operation {
    case .migrate: return [.init(pages: pages, before: .absent, after: .present)]
    case .cancel: return [.init(pages: pages, before: .present, after: .absent)]
    case .migrateAgain, nil: return []
    }
  }
}
