extension PageStateMap {
  /// The first address at which host and SVSM disagree whether a page is private; nil when they
  /// agree.
  /// - Parameter privateRanges: the ranges that the host calls private, ascending and merged.
  package func firstDisagreement(with privateRanges: some Sequence<Range<UInt64>>) -> UInt64? {
    ranges(where: { $0.isPrivate }).firstDifference(from: privateRanges)
  }

  /// The ranges of pages that are in both maps and have a different state in `later`, in ascending
  /// order.
  /// - Parameter addresses: whole pages; others are not compared.
  package func changes(
    to later: PageStateMap, in addresses: Range<UInt64> = 0..<addressLimit
  ) -> PageStateChanges {
    PageStateChanges(from: runs(in: addresses), to: later.runs(in: addresses))
  }
}

/// The ranges of pages that are in two maps and have different states.
package struct PageStateChanges: Sequence, IteratorProtocol {
  package struct Element {
    package var range: Range<UInt64>
    package var before: PageState
    package var now: PageState
  }

  private var earlier: PageRunParts
  private var later: PageRunParts
  /// The run of each map that is compared next.
  private var before: PageRun?
  private var now: PageRun?

  init(from earlier: PageRunParts, to later: PageRunParts) {
    (self.earlier, self.later) = (earlier, later)
    before = self.earlier.next()
    now = self.later.next()
  }

  package mutating func next() -> Element? {
    while let before, let now {
      if before.end <= now.end { self.before = earlier.next() }
      if now.end <= before.end { self.now = later.next() }
      let (start, end) = (Swift.max(before.gpa, now.gpa), Swift.min(before.end, now.end))
      if start < end, before.state != now.state {
        return Element(range: start..<end, before: before.state, now: now.state)
      }
    }
    return nil
  }
}

extension Sequence<Range<UInt64>> {
  /// The first address that is in only one of two lists of ranges; nil when both have the same. In each
  /// list the ranges are ascending, and no two are adjacent.
  package func firstDifference(from others: some Sequence<Range<UInt64>>) -> UInt64? {
    // The first border at which they differ is the result.
    var rest = others.makeIterator()
    for mine in self {
      guard let other = rest.next() else { return mine.lowerBound }
      if mine.lowerBound != other.lowerBound {
        return Swift.min(mine.lowerBound, other.lowerBound)
      }
      if mine.upperBound != other.upperBound {
        return Swift.min(mine.upperBound, other.upperBound)
      }
    }
    return rest.next()?.lowerBound
  }
}
