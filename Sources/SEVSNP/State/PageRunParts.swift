/// The parts of runs that are in a range of addresses, in ascending order.
package struct PageRunParts: Sequence, IteratorProtocol {
  private var runs: PageRuns.Iterator
  private let addresses: Range<UInt64>

  init(_ runs: PageRuns, in addresses: Range<UInt64>) {
    self.runs = runs.iterator(near: addresses.lowerBound)
    self.addresses = addresses
  }

  package mutating func next() -> PageRun? {
    while var run = runs.next(), run.gpa < addresses.upperBound {
      guard run.end > addresses.lowerBound else { continue }
      run.addresses = run.addresses.clamped(to: addresses)
      return run
    }
    return nil
  }
}

/// The addresses of pages in some states, in ascending order. Adjacent runs are joined: a map may have
/// millions of runs that differ in the size of their pages or in their permissions only.
package struct JoinedPageRuns: Sequence, IteratorProtocol {
  private var runs: PageRunParts
  private let accepts: (PageState) -> Bool
  /// The range that the next run may continue.
  private var open: Range<UInt64>?

  init(_ runs: PageRunParts, where accepts: @escaping (PageState) -> Bool) {
    (self.runs, self.accepts) = (runs, accepts)
  }

  package mutating func next() -> Range<UInt64>? {
    while let run = runs.next() {
      guard accepts(run.state) else { continue }
      guard let last = open else {
        open = run.addresses
        continue
      }
      guard last.upperBound == run.gpa else {
        open = run.addresses
        return last
      }
      open = last.lowerBound..<run.end
    }
    defer { open = nil }
    return open
  }
}

extension PageStateMap {
  /// The parts of runs that are in `addresses`, which are whole pages.
  package func runs(in addresses: Range<UInt64>) -> PageRunParts {
    PageRunParts(runs, in: addresses)
  }

  /// The addresses of pages in states that `accepts` returns true for: ascending ranges of which no two
  /// are adjacent.
  package func ranges(
    in addresses: Range<UInt64> = 0..<addressLimit,
    where accepts: @escaping (PageState) -> Bool = { _ in true }
  ) -> JoinedPageRuns {
    JoinedPageRuns(runs(in: addresses), where: accepts)
  }
}
