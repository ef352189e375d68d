package import SEVSNP

extension PageStateMap {
  /// Tells the ranges whose facts differ from those in `later`, in ascending order.
  package func differences(to later: PageStateMap, _ report: (StateDifference) -> Void) {
    var sides = (Ahead(runs), Ahead(later.runs))
    var open: StateDifference?
    var place: UInt64 = 0
    while true {
      let hasMore = (sides.0.skip(to: place), sides.1.skip(to: place))
      guard hasMore.0 || hasMore.1 else { break }
      let end = min(sides.0.border(after: place), sides.1.border(after: place))
      let (before, after) = (sides.0.facts(at: place), sides.1.facts(at: place))
      if before != after {
        let next = StateDifference(
          gpa: place, pages: (end - place) / RMPPageSize.size4K.bytes, before: before, after: after)
        if open?.join(next) != true {
          if let open { report(open) }
          open = next
        }
      }
      place = end
    }
    if let open { report(open) }
  }
}

/// Runs that are read in ascending order.
private struct Ahead {
  private var runs: PageRuns.Iterator
  private var run: PageRun?

  init(_ runs: PageRuns) {
    self.runs = runs.makeIterator()
    run = self.runs.next()
  }

  /// Leaves out the runs that end at `place` or before.
  /// - Returns: whether a run is left.
  mutating func skip(to place: UInt64) -> Bool {
    while let ahead = run, ahead.end <= place { run = runs.next() }
    return run != nil
  }

  /// The next address at which a run begins or ends.
  func border(after place: UInt64) -> UInt64 {
    guard let run else { return .max }
    return run.gpa > place ? run.gpa : run.end
  }

  func facts(at place: UInt64) -> PageStateFacts? {
    guard let run, run.gpa <= place else { return nil }
    return PageStateFacts(run)
  }
}

extension StateDifference {
  /// Extends the run by the next pages, if they differ in the same way.
  fileprivate mutating func join(_ next: StateDifference) -> Bool {
    guard before == next.before, after == next.after,
      gpa + pages * RMPPageSize.size4K.bytes == next.gpa
    else { return false }
    pages += next.pages
    return true
  }
}
