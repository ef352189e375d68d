extension PageStateMap {
  /// The first address at which host and SVSM disagree whether a page is private; nil when they
  /// agree.
  /// - Parameter privateRanges: the ranges that the host calls private, ascending and merged.
  package func firstDisagreement(with privateRanges: [Range<UInt64>]) -> UInt64? {
    // Both sides are ascending, merged ranges. The first border at which they differ is the result.
    var mine: [Range<UInt64>] = []
    for run in runs where run.state.isPrivate {
      if let last = mine.last, last.upperBound == run.gpa {
        mine[mine.count - 1] = last.lowerBound..<run.end
      } else {
        mine.append(run.gpa..<run.end)
      }
    }
    for index in 0..<max(mine.count, privateRanges.count) {
      guard index < mine.count else { return privateRanges[index].lowerBound }
      guard index < privateRanges.count else { return mine[index].lowerBound }
      let (left, right) = (mine[index], privateRanges[index])
      if left.lowerBound != right.lowerBound { return min(left.lowerBound, right.lowerBound) }
      if left.upperBound != right.upperBound { return min(left.upperBound, right.upperBound) }
    }
    return nil
  }

  /// The ranges of pages that are in both maps and have a different state in `later`, in ascending
  /// order.
  package func changes(
    to later: PageStateMap
  ) -> [(range: Range<UInt64>, before: PageState, now: PageState)] {
    var found: [(range: Range<UInt64>, before: PageState, now: PageState)] = []
    var (mine, theirs) = (0, 0)
    while mine < runs.count, theirs < later.runs.count {
      let (before, now) = (runs[mine], later.runs[theirs])
      let (start, end) = (max(before.gpa, now.gpa), min(before.end, now.end))
      if start < end, before.state != now.state {
        found.append((start..<end, before.state, now.state))
      }
      if before.end <= now.end { mine += 1 }
      if now.end <= before.end { theirs += 1 }
    }
    return found
  }
}
