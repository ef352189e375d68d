extension PageStateMap {
  /// The first address at which host and SVSM disagree whether a page is private.
  /// - Parameter privateRanges: what the host calls private, ascending and joined.
  public func firstDisagreement(with privateRanges: [Range<UInt64>]) -> UInt64? {
    // Both sides as ascending, joined ranges; the first edge where they part is the answer.
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
}
