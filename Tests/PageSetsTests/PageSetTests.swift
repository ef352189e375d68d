import Errors
import PageSets
import Testing

/// A set of pages holds what a set of numbers holds, however its pages lie, and whether all of it is in
/// memory or most of it in a file.
@Suite struct PageSetTests {
  private static let region: UInt64 = 512

  /// A set beside its model.
  private struct Pair: ~Copyable {
    var set: PageSet
    var model: Set<UInt64> = []
    /// Steps after which the two told different things.
    var wrong = 0

    /// - Parameter memory: most nodes in memory.
    init(memory: Int = 8) { set = PageSet(memory: memory) }

    mutating func insert(_ page: UInt64) throws {
      if try set.insert(page) != model.insert(page).inserted { wrong += 1 }
    }

    mutating func remove(_ pages: Range<UInt64>) throws {
      try set.remove(pages)
      if UInt64(pages.count) < UInt64(model.count) {
        for page in pages { model.remove(page) }
      } else {
        model = model.filter { !pages.contains($0) }
      }
    }

    mutating func compare(_ page: UInt64) throws {
      if try set.contains(page) != model.contains(page) { wrong += 1 }
    }

    mutating func compare(_ pages: Range<UInt64>) throws {
      let expected = model.filter { pages.contains($0) }
      if try set.count(in: pages) != UInt64(expected.count) { wrong += 1 }
      if try set.first(in: pages) != expected.min() { wrong += 1 }
      let missing = pages.first { !expected.contains($0) }
      if try set.firstMissing(in: pages) != missing { wrong += 1 }
      if try set.count(in: 0..<UInt64.max) != UInt64(model.count) { wrong += 1 }
    }

    /// Compares the ranges of all pages, and what is said when there is one too many.
    mutating func compareRanges() throws {
      var ranges: [Range<UInt64>] = []
      for page in model.sorted() {
        if let last = ranges.last, last.upperBound == page {
          ranges[ranges.count - 1] = last.lowerBound..<page + 1
        } else {
          ranges.append(page..<page + 1)
        }
      }
      if try set.ranges(limit: ranges.count) != ranges { wrong += 1 }
      if try !ranges.isEmpty && set.ranges(limit: ranges.count - 1) != nil { wrong += 1 }
    }

    /// Fails unless the two always told the same and have nothing left.
    mutating func expectNothingLeft() throws {
      let (left, wrong) = (try set.count(in: 0..<UInt64.max), wrong)
      #expect(left == 0 && wrong == 0)
    }
  }

  /// Few pages of many regions, many pages of few, and what is in between: pieces are forgotten and begun
  /// anew. With 8 nodes in memory nearly all of a large set is in the file.
  @Test(arguments: [
    (regions: UInt64(1), pages: UInt64(512)), (3, 512), (40, 7), (300, 8), (2000, 512),
    (1 << 40, 512),
  ])
  func aSetIsWhatASetOfNumbersIs(regions: UInt64, pages: UInt64) throws {
    var numbers = Numbers(state: regions &* 31 &+ pages)
    var pair = Pair()
    func page(_ numbers: inout Numbers) -> UInt64 {
      .random(in: 0..<regions, using: &numbers) * Self.region
        + .random(in: 0..<pages, using: &numbers)
    }
    for step in 0..<6000 {
      let first = page(&numbers)
      switch UInt64.random(in: 0..<100, using: &numbers) {
      case 0..<70: try pair.insert(first)
      case 70..<80:
        for next in first..<first + 20 { try pair.insert(next) }
      case 80..<95: try pair.compare(first)
      case 95..<99: try pair.remove(first..<first + .random(in: 0..<40, using: &numbers))
      default: try pair.remove(first..<first + .random(in: 0..<4 * Self.region, using: &numbers))
      }
      if step % 100 == 0 {
        let other = page(&numbers)
        try pair.compare(min(first, other)..<max(first, other) + 1)
      }
    }
    for page in pair.model { try pair.compare(page) }
    try pair.compareRanges()
    try pair.remove(0..<regions * Self.region / 2)
    try pair.compare(0..<regions * Self.region + Self.region)
    try pair.remove(0..<regions * Self.region + Self.region)
    try pair.expectNothingLeft()
  }

  /// Orders in which nodes are divided at their end, their start and within, on two and three levels.
  @Test(arguments: ["forward", "backward", "inward", "scattered"], [8, 2048])
  func regionsMayComeInAnyOrder(order: String, memory: Int) throws {
    let count: UInt64 = 40_000
    var pair = Pair(memory: memory)
    for index in 0..<count {
      let region =
        switch order {
        case "forward": index
        case "backward": count - 1 - index
        case "inward": index % 2 == 0 ? index / 2 : count - 1 - index / 2
        default: index &* 7919 % count
        }
      try pair.insert(region * Self.region + region % Self.region)
    }
    for region in stride(from: 0, to: count, by: 3) {
      try pair.compare(region * Self.region + region % Self.region)
      try pair.compare(region * Self.region + (region + 1) % Self.region)
    }
    for start in stride(from: 0, to: count, by: 6170) {
      try pair.compare(start * Self.region + 100..<(start + 617) * Self.region + 300)
    }
    try pair.compareRanges()
    try pair.remove(1000 * Self.region..<30_000 * Self.region)
    try pair.compare(0..<count * Self.region)
    try pair.remove(0..<1 << 50)
    try pair.expectNothingLeft()
  }

  /// A piece that has all of its 64 pages, or only its first or last one, is joined to its neighbours and
  /// parted from them.
  @Test func pagesAtTheBordersOfPiecesAreNotLost() throws {
    var pair = Pair()
    for first in [0, 1, 63, 64, 65, 127] as [UInt64] {
      for count in [1, 63, 64, 65, 128, 129] as [UInt64] {
        for page in first..<first + count { try pair.insert(page) }
        try pair.compare(0..<400)
        try pair.compare(first..<first + count)
        try pair.compare(first..<first + count + 1)
        try pair.compareRanges()
        try pair.remove(first + count / 2..<first + count / 2 + 1)
        try pair.compare(first..<first + count)
        try pair.remove(first..<first + count)
        try pair.compare(0..<400)
      }
    }
    try pair.expectNothingLeft()
  }

  /// Pages that are inserted together are those that are inserted one by one.
  @Test func pagesMayBeInsertedTogether() throws {
    var one = PageSet(memory: 8)
    var other = PageSet(memory: 8)
    for range in [3..<4, 60..<70, 64..<128, 500..<9000, 8999..<9001] as [Range<UInt64>] {
      try one.insert(range, of: 2)
      for page in range { _ = try other.insert(page, of: 2) }
    }
    try one.insert(0x8000_0000_0000_0005, from: 12_800, of: 2)
    for page in [12_800, 12_802, 12_863] as [UInt64] { _ = try other.insert(page, of: 2) }
    let (found, expected) = (
      try one.ranges(of: 2, limit: 9), try other.ranges(of: 2, limit: 9)
    )
    #expect(found == expected && found?.count == 6)
    let elsewhere = try one.ranges(of: 1, limit: 9)
    #expect(elsewhere == [])
  }

  /// The blocks of a guest have sets of their own, which are emptied together.
  @Test func eachBlockHasItsPages() throws {
    var set = PageSet(memory: 8)
    for round in 0..<3 as Range<UInt64> {
      for page in 0..<300 as Range<UInt64> {
        for block in 0..<40 {
          let isNew = try set.insert(page * 64 + UInt64(block) + round, of: block)
          #expect(isNew)
        }
      }
      try set.remove(0..<UInt64.max, of: 7)
      for block in 0..<40 {
        let pages = try set.count(in: 0..<UInt64.max, of: block)
        let first = try set.first(in: 0..<UInt64.max, of: block)
        #expect(pages == (block == 7 ? 0 : 300))
        #expect(first == (block == 7 ? nil : UInt64(block) + round))
      }
      set.removeAll()
      let left = try set.count(in: 0..<UInt64.max, of: 3)
      #expect(left == 0)
    }
  }
}
