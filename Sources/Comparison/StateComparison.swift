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
  private let runs: [PageRun]
  private var index = 0

  init(_ runs: [PageRun]) { self.runs = runs }

  /// Leaves out the runs that end at `place` or before.
  /// - Returns: whether a run is left.
  mutating func skip(to place: UInt64) -> Bool {
    while index < runs.count, runs[index].end <= place { index += 1 }
    return index < runs.count
  }

  /// The next address at which a run begins or ends.
  func border(after place: UInt64) -> UInt64 {
    guard index < runs.count else { return .max }
    return runs[index].gpa > place ? runs[index].gpa : runs[index].end
  }

  func facts(at place: UInt64) -> PageStateFacts? {
    guard index < runs.count, runs[index].gpa <= place else { return nil }
    return PageStateFacts(runs[index])
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
