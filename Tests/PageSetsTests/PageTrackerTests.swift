import PageSets
import Testing

/// A tracker tells of each page whether it is present and whether it came in this round, as two sets of numbers
/// do, however many rounds there are, and whether all of it is in memory or most of it in a file.
@Suite struct PageTrackerTests {
  /// A tracker beside its model.
  private struct Pair: ~Copyable {
    var tracker: PageTracker
    var present: Set<UInt64> = []
    var current: Set<UInt64> = []
    /// Steps after which the two told different things.
    var wrong = 0

    init(memory: Int) { tracker = PageTracker(memory: memory) }

    mutating func note(_ page: UInt64, isPresent: Bool) throws {
      compare(page, try tracker.note(page, isPresent: isPresent))
      if isPresent { present.insert(page) } else { present.remove(page) }
      current.insert(page)
      if tracker.count != UInt64(present.count) { wrong += 1 }
    }

    mutating func compare(_ page: UInt64) throws { compare(page, try tracker.bits(of: page)) }

    private mutating func compare(_ page: UInt64, _ bits: PageTracker.Bits) {
      if bits.isPresent != present.contains(page) { wrong += 1 }
      if bits.isCurrent != current.contains(page) { wrong += 1 }
    }

    mutating func beginRound() {
      tracker.beginRound()
      current.removeAll()
    }

    mutating func compareAll() throws {
      var listed: [UInt64] = []
      try tracker.forEachPage { listed.append($0) }
      if listed != present.sorted() { wrong += 1 }
      for page in present { try compare(page) }
    }
  }

  /// The tree has few levels and many, and its leaves are of several rounds at a time.
  @Test(arguments: [(64, 8), (40_000, 8), (1 << 40, 8), (1 << 40, 2048)] as [(UInt64, Int)])
  func aTrackerIsWhatTwoSetsAre(pages: UInt64, memory: Int) throws {
    var numbers = Numbers(state: pages &+ UInt64(memory))
    var pair = Pair(memory: memory)
    var known: [UInt64] = []
    for _ in 0..<40 {
      for _ in 0..<UInt64.random(in: 0..<2000, using: &numbers) {
        // Half of the pages came before.
        let old = known.randomElement(using: &numbers)
        let page =
          Bool.random(using: &numbers)
          ? old ?? 0 : .random(in: 0..<pages, using: &numbers)
        known.append(page)
        try pair.note(page, isPresent: UInt64.random(in: 0..<4, using: &numbers) != 0)
        try pair.compare(.random(in: 0..<pages, using: &numbers))
      }
      pair.beginRound()
    }
    try pair.compareAll()
    let wrong = pair.wrong
    #expect(wrong == 0)
  }

  @Test("what a round noted is void in the next, also of the page that was looked at last")
  func aNewRoundHasNoPages() throws {
    var tracker = PageTracker(memory: 8)
    for page in [0, 5, 70] as [UInt64] { try tracker.note(page, isPresent: page != 5) }
    tracker.beginRound()
    var bits = try tracker.note(70, isPresent: true)
    #expect(bits.isPresent && !bits.isCurrent)
    bits = try tracker.bits(of: 5)
    #expect(!bits.isPresent && !bits.isCurrent)
    bits = try tracker.bits(of: 70)
    #expect(bits.isPresent && bits.isCurrent)
    tracker.beginRound()
    bits = try tracker.bits(of: 70)
    #expect(bits.isPresent && !bits.isCurrent)
  }

  @Test("a limit of ranges is a limit of memory")
  func rangesAreLimited() throws {
    var tracker = PageTracker()
    for page in [4, 0, 1, 3, 0x200, 0x201, 0x4000] as [UInt64] {
      try tracker.note(page, isPresent: true)
    }
    try tracker.note(1, isPresent: false)
    let ranges = try tracker.ranges(limit: 4)
    #expect(ranges == [0..<1, 3..<5, 0x200..<0x202, 0x4000..<0x4001])
    let more = try tracker.ranges(limit: 3)
    #expect(more == nil)
  }

  @Test("a tree has one number for each of many, whether it is replaced or not")
  func aTreeHasWhatWasStored() throws {
    var tree = WordTree(memory: 8)
    let count: UInt64 = 100_000
    for index in 0..<count {
      let number = index &* 7919 % count
      let found = try tree.find(number)
      #expect(found == nil)
      try tree.insert(number, WordTree.Words(first: number &* number))
    }
    for number in stride(from: 0, to: count, by: 7) {
      _ = try tree.find(number)
      try tree.replace(with: WordTree.Words(first: 0))
    }
    for number in 0..<count {
      let found = try tree.find(number)?.first
      #expect(found == (number % 7 == 0 ? 0 : number &* number))
    }
    let beyond = try tree.find(count)
    #expect(beyond == nil)
  }
}
