package import Errors
package import SEVSNP

extension PageStateMap {
  /// The page states of a guest when it is only known which pages are private and which are shared.
  /// - Parameters:
  ///   - mapped: every mapped page.
  ///   - isPrivate: a subset of `mapped`; its pages become validated, with an RMP page size of 4
  ///     KiB and default permissions.
  /// - Throws: `MAP-SYNTAX` when there are too many runs.
  package init(_ mapped: GPARangeSet, private isPrivate: GPARangeSet) throws(MigrationError) {
    self.init()
    var rest = isPrivate.ranges[...]
    for range in mapped.ranges {
      var next = range.start
      while let first = rest.first, first.start < range.end {
        try join(next..<first.start, as: .shared)
        try join(first.start..<first.end, as: .validated, permissions: .guestDefault)
        next = first.end
        rest.removeFirst()
      }
      try join(next..<range.end, as: .shared)
    }
  }

  /// Appends the pages of a range, if it is not empty, with an RMP page size of 4 KiB.
  /// - Throws: `MAP-SYNTAX`.
  package mutating func join(
    _ addresses: Range<UInt64>, as state: PageState, permissions: VMPLPermissions = .none
  ) throws(MigrationError) {
    guard !addresses.isEmpty else { return }
    var run = PageRun(gpa: addresses.lowerBound, pages: 0, state: state, permissions: permissions)
    run.addresses = addresses
    try join(run)
  }

  /// The addresses of all private pages.
  package var privateAddresses: GPARangeSet { GPARangeSet(apart: ranges(where: { $0.isPrivate })) }
}
