import QEMUStream
import Testing

/// A set of pages holds what a set of numbers holds, in whatever form each of its regions is.
@Suite struct PageSetTests {
  private static let region: UInt64 = 512

  /// Numbers that depend only on where they begin.
  private struct Numbers: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return (state ^ state >> 29) &* 0xbf58_476d_1ce4_e5b9
    }
  }

  /// A set beside its model.
  private struct Pair {
    var set = PageSet()
    var model: Set<UInt64> = []
    /// Steps after which the two told different things.
    var wrong = 0

    mutating func insert(_ page: UInt64) {
      if set.insert(page) != model.insert(page).inserted { wrong += 1 }
    }

    mutating func remove(_ pages: Range<UInt64>) {
      set.remove(pages)
      if UInt64(pages.count) < UInt64(model.count) {
        for page in pages { model.remove(page) }
      } else {
        model = model.filter { !pages.contains($0) }
      }
      if set.count != UInt64(model.count) { wrong += 1 }
    }

    mutating func compare(_ page: UInt64) {
      if set.contains(page) != model.contains(page) { wrong += 1 }
    }

    mutating func compare(_ pages: Range<UInt64>) {
      let expected = model.filter { pages.contains($0) }
      if set.count(in: pages) != UInt64(expected.count) { wrong += 1 }
      if set.first(in: pages) != expected.min() { wrong += 1 }
      if set.count != UInt64(model.count) { wrong += 1 }
    }

    /// Compares the ranges of all pages, and what is said when there is one too many.
    mutating func compareRanges() {
      var ranges: [Range<UInt64>] = []
      for page in model.sorted() {
        if let last = ranges.last, last.upperBound == page {
          ranges[ranges.count - 1] = last.lowerBound..<page + 1
        } else {
          ranges.append(page..<page + 1)
        }
      }
      if set.ranges(limit: ranges.count) != ranges { wrong += 1 }
      if !ranges.isEmpty, set.ranges(limit: ranges.count - 1) != nil { wrong += 1 }
    }
  }

  /// Few pages of many regions, many pages of few, and what is in between: regions change their form
  /// again and again, and are forgotten and begun anew.
  @Test(arguments: [
    (regions: UInt64(1), pages: UInt64(512)), (3, 512), (40, 7), (300, 8), (2000, 512),
    (1 << 40, 512),
  ])
  func aSetIsWhatASetOfNumbersIs(regions: UInt64, pages: UInt64) {
    var numbers = Numbers(state: regions &* 31 &+ pages)
    var pair = Pair()
    func page(_ numbers: inout Numbers) -> UInt64 {
      .random(in: 0..<regions, using: &numbers) * Self.region
        + .random(in: 0..<pages, using: &numbers)
    }
    for step in 0..<6000 {
      let first = page(&numbers)
      switch UInt64.random(in: 0..<100, using: &numbers) {
      case 0..<70: pair.insert(first)
      case 70..<80:
        for next in first..<first + 20 { pair.insert(next) }
      case 80..<95: pair.compare(first)
      case 95..<99: pair.remove(first..<first + .random(in: 0..<40, using: &numbers))
      default: pair.remove(first..<first + .random(in: 0..<4 * Self.region, using: &numbers))
      }
      if step % 100 == 0 {
        let other = page(&numbers)
        pair.compare(min(first, other)..<max(first, other) + 1)
      }
    }
    for page in pair.model { pair.compare(page) }
    pair.compareRanges()
    pair.remove(0..<regions * Self.region / 2)
    pair.compare(0..<regions * Self.region + Self.region)
    pair.remove(0..<regions * Self.region + Self.region)
    #expect(pair.set.count == 0 && pair.wrong == 0)
  }

  /// Orders in which leaves of the order of regions are divided at their end, their start and within.
  @Test(arguments: ["forward", "backward", "inward", "scattered"])
  func regionsMayComeInAnyOrder(order: String) {
    let count: UInt64 = 5000
    var pair = Pair()
    for index in 0..<count {
      let region =
        switch order {
        case "forward": index
        case "backward": count - 1 - index
        case "inward": index % 2 == 0 ? index / 2 : count - 1 - index / 2
        default: index &* 7919 % count
        }
      pair.insert(region * Self.region + region % Self.region)
    }
    for region in 0..<count {
      pair.compare(region * Self.region + region % Self.region)
      pair.compare(region * Self.region + (region + 1) % Self.region)
    }
    for start in stride(from: 0, to: count, by: 617) {
      pair.compare(start * Self.region + 100..<(start + 617) * Self.region + 300)
    }
    pair.compareRanges()
    pair.remove(1000 * Self.region..<3000 * Self.region)
    pair.compare(0..<count * Self.region)
    #expect(pair.set.count == count - 2000 && pair.wrong == 0)
  }

  /// The pages around the number at which a region changes its form, with the first and the last page
  /// of the region among them.
  @Test func aRegionChangesItsFormWithoutLosingAPage() {
    for count in 1...12 as ClosedRange<UInt64> {
      var pair = Pair()
      let base = 77 * Self.region
      let pages = (0..<count).map { base + ($0 % 2 == 0 ? $0 * 40 : Self.region - $0) }
      for page in pages { pair.insert(page) }
      for page in pages { pair.insert(page) }
      for page in base - Self.region..<base + 2 * Self.region { pair.compare(page) }
      pair.compareRanges()
      // All but one, one by one; then that one, in a range of no end.
      for page in pages.dropFirst() { pair.remove(page..<page + 1) }
      pair.compare(base..<base + Self.region)
      pair.remove(base..<1 << 50)
      #expect(pair.set.count == 0 && pair.wrong == 0)
      pair.insert(base)
      #expect(pair.set.count == 1 && pair.set.count(in: base..<base + 1) == 1)
      #expect(pair.set.count(in: base + 1..<base + 1) == 0)
    }
  }

  /// A region that has all its pages loses some again, and gets them back; the bits that others gave up
  /// are used anew, and the region looked up last was another one each time.
  @Test func aWholeRegionLosesPagesAndGetsThemBack() {
    var pair = Pair()
    let size = Self.region
    for region in 0..<4 as Range<UInt64> {
      // In an order in which each of its words becomes full late.
      for page in 0..<size { pair.insert(region * size + page * 65 % size) }
      pair.compare(region * size..<(region + 1) * size)
    }
    for page in stride(from: 0, to: 4 * size, by: 100) { pair.insert(page) }
    for (first, last) in [(0, 1), (size - 1, size + 1), (2 * size + 64, 2 * size + 128)] {
      pair.remove(first..<last)
      for page in 0..<5 * size { pair.compare(page) }
    }
    for step in 0..<2 * size {
      pair.insert(step % 2 * size + step / 2)
      pair.compare((step * 7) % (4 * size))
    }
    pair.compareRanges()
    pair.remove(size..<2 * size)
    pair.compare(0..<4 * size)
    pair.insert(3 * size)
    for page in 0..<4 * size { pair.compare(page) }
    pair.remove(0..<4 * size)
    #expect(pair.set.count == 0 && pair.wrong == 0)
  }
}
