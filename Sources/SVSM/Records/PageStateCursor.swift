internal import SEVSNP

/// Looks up pages: at no cost per page in ascending order, and by binary search elsewhere.
struct PageStateCursor {
  private let map: PageStateMap
  private var current: PageRun?

  init(_ map: PageStateMap) { self.map = map }

  /// The run that holds `gpa`.
  mutating func run(at gpa: UInt64) -> PageRun? {
    if let current, current.gpa <= gpa, gpa < current.end { return current }
    current = map.run(at: gpa)
    return current
  }
}
