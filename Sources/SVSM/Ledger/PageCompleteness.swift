internal import Errors
internal import PageSets
internal import SEVSNP
internal import Wire

/// Comparison of the pages that came with those that the trusted page-state map names.
extension PageTracker {
  /// Checks that every validated page came, and no other. The work depends on the pages that came,
  /// not on what the map claims.
  /// - Parameters:
  ///   - limit: largest number of missing pages that are reported.
  ///   - offset: where the commit begins in the stream.
  ///   - refuse: called with each page that is missing or unexpected.
  /// - Returns: number of missing pages beyond those reported.
  /// - Throws: `MAP-MISSING-PAGE`, `MAP-UNEXPECTED-PAGE`.
  mutating func compare(
    with states: PageStateMap, naming limit: Int, at offset: UInt64,
    _ refuse: MigrationError.Refusal
  ) throws(MigrationError) -> UInt64 {
    var missing = 0
    for run in states.runs where run.state == .validated && missing < limit {
      var rest = run.gpa / Page.size64..<run.end / Page.size64
      while missing < limit, let page = try firstMissing(in: rest) {
        try refuse(
          MigrationError(
            .mapMissingPage, "a validated page is missing", in: .pageStates, at: offset,
            expected: "a page record", got: "none of gpa \(Hex.number(page * Page.size64))"))
        missing += 1
        rest = page + 1..<rest.upperBound
      }
    }
    let validated = states.pages(in: .validated)
    if count == validated, missing == 0 { return 0 }
    var cursor = PageStateCursor(states)
    var expected: UInt64 = 0
    try forEachPage { (page) throws(MigrationError) in
      let gpa = page * Page.size64
      guard cursor.run(at: gpa)?.state != .validated else {
        expected += 1
        return
      }
      try refuse(
        MigrationError(
          .mapUnexpectedPage, "a page in the stream is not validated", in: .pageStates,
          at: offset, expected: "\(validated) validated pages",
          got: "gpa \(Hex.number(gpa))"))
    }
    return validated - expected - UInt64(missing)
  }
}
