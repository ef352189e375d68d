/// A set of guest-physical pages, kept as ranges that are ascending and not adjacent, so that equal
/// sets have equal ranges.
package struct GPARangeSet: Sendable, Hashable {
  /// The ranges, in ascending order and with at least one page between two of them.
  package private(set) var ranges: [GPARange]

  /// The empty set.
  package init() { ranges = [] }

  /// All pages of `ranges`, which may overlap and come in any order.
  package init(_ ranges: some Sequence<GPARange>) {
    self.ranges = []
    for range in ranges.sorted(by: { $0.start < $1.start }) { append(range) }
  }

  /// All pages of ranges that are ascending and of which no two are adjacent. There may be a million, so
  /// they are counted first: an array that grows is copied.
  init(apart ranges: some Sequence<Range<UInt64>>) {
    self.ranges = []
    self.ranges.reserveCapacity(ranges.reduce(0) { count, _ in count + 1 })
    for range in ranges {
      self.ranges.append(GPARange(unchecked: range.lowerBound, range.upperBound))
    }
  }

  /// Every page below the address limit.
  package static let all = GPARangeSet([GPARange(unchecked: 0, GPARange.limit)])

  package var isEmpty: Bool { ranges.isEmpty }

  /// The addresses of each range.
  package var addresses: some Sequence<Range<UInt64>> { ranges.lazy.map { $0.start..<$0.end } }

  /// Number of 4 KiB pages.
  package var pages: UInt64 { ranges.reduce(0) { $0 + $1.pages } }

  /// Whether the page that holds `gpa` is in the set; found by binary search.
  package func contains(_ gpa: UInt64) -> Bool {
    let index = firstIndex(endingAfter: gpa)
    return index < ranges.count && ranges[index].start <= gpa
  }

  /// Adds the pages of `range`.
  package mutating func insert(_ range: GPARange) {
    // All ranges that overlap or are adjacent to the new one are merged with it.
    let low = range.start == 0 ? 0 : firstIndex(endingAfter: range.start - 1)
    var high = low
    var (start, end) = (range.start, range.end)
    while high < ranges.count, ranges[high].start <= end {
      start = min(start, ranges[high].start)
      end = max(end, ranges[high].end)
      high += 1
    }
    ranges.replaceSubrange(low..<high, with: CollectionOfOne(GPARange(unchecked: start, end)))
  }

  /// Removes the pages of `range`.
  package mutating func remove(_ range: GPARange) {
    let low = firstIndex(endingAfter: range.start)
    var high = low
    var kept: [GPARange] = []
    while high < ranges.count, ranges[high].start < range.end {
      let old = ranges[high]
      if old.start < range.start { kept.append(GPARange(unchecked: old.start, range.start)) }
      if old.end > range.end { kept.append(GPARange(unchecked: range.end, old.end)) }
      high += 1
    }
    ranges.replaceSubrange(low..<high, with: kept)
  }

  /// The pages that are in both sets.
  package func intersection(_ other: GPARangeSet) -> GPARangeSet {
    var common = GPARangeSet()
    var (left, right) = (0, 0)
    while left < ranges.count, right < other.ranges.count {
      let start = max(ranges[left].start, other.ranges[right].start)
      let end = min(ranges[left].end, other.ranges[right].end)
      if start < end { common.ranges.append(GPARange(unchecked: start, end)) }
      if ranges[left].end < other.ranges[right].end { left += 1 } else { right += 1 }
    }
    return common
  }

  /// Index of the first range that ends after `gpa`; the number of ranges when none does.
  private func firstIndex(endingAfter gpa: UInt64) -> Int {
    var (low, high) = (0, ranges.count)
    while low < high {
      let middle = (low + high) / 2
      if ranges[middle].end <= gpa { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// Appends a range that does not start before the last one.
  mutating func append(_ range: GPARange) {
    if let last = ranges.last, range.start <= last.end {
      let joined = GPARange(unchecked: last.start, max(last.end, range.end))
      ranges[ranges.count - 1] = joined
    } else {
      ranges.append(range)
    }
  }
}
