import Errors
import Guest
import SEVSNP
import Testing

@Suite struct GPARangeSetTests {
  /// Rows: text, and the set's one form.
  @Test(arguments: [
    ("none", "none"), ("all", "all"), ("0x0-0x9ffff", "0x0-0x9ffff"),
    ("0-4095", "0x0-0xfff"), ("0x1000+0x1000", "0x1000-0x1fff"), ("4096+4K", "0x1000-0x1fff"),
    ("0+1m", "0x0-0xfffff"), ("1G+2M", "0x40000000-0x401fffff"),
    ("0x100000+0x200000,0x0-0x9ffff", "0x0-0x9ffff,0x100000-0x2fffff"),
    ("0x0-0xfff,0x1000-0x1fff", "0x0-0x1fff"), ("0x0-0x2fff,0x1000-0x1fff", "0x0-0x2fff"),
    ("0x0-0xfffffffffffff", "all"), ("0+4096T", "all"),
  ])
  func textIsReadAndWrittenInOneForm(text: String, form: String) throws {
    let set = try GPARangeSet(parsing: text)
    #expect(set.description == form)
    #expect(try GPARangeSet(parsing: set.description) == set)
  }

  @Test(arguments: [
    "", "0", "0x1000", "-", "0-", "-0xfff", "+0x1000", "0x0-0xffe", "0x0-0x1000", "0x10+0x1000",
    "0x1000-0xfff", "0x1000+0", "0x0-0xfff,", ",", "0x0-0xfff;0x2000-0x2fff", "0x0 - 0xfff",
    "0x+0x1000", "0x-0xfff", "0x-1+0x1000", "0x0-0x10000000000fff", "0x0+0xffffffffffffffff",
    "0x0-0xffffffffffffffff", "0x0-0x1ffffffffffffffff", "16777216T+4K", "0x0-0xfff\u{0}",
    "all,none",
    "ALL", "0x1000++0x1000", "0--1", "١+4096",
  ])
  func whatIsNoSetIsRefused(text: String) {
    let error = #expect(throws: MigrationError.self) { try GPARangeSet(parsing: text) }
    #expect(error?.code == .guestShape)
  }

  /// Set algebra against the same on sets of page numbers.
  @Test(arguments: 0..<40) func algebraAgreesWithSetsOfPages(seed: UInt64) throws {
    var state = seed &* 0x9e37_79b9_7f4a_7c15
    func random(_ bound: UInt64) -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return (state >> 33) % bound
    }
    var set = GPARangeSet()
    var other = GPARangeSet()
    var pages: Set<UInt64> = []
    var otherPages: Set<UInt64> = []
    for _ in 0..<30 {
      let first = random(60)
      let count = 1 + random(6)
      let range = try GPARange(start: first * 4096, end: (first + count) * 4096)
      switch random(3) {
      case 0:
        set.insert(range)
        pages.formUnion(first..<first + count)
      case 1:
        set.remove(range)
        pages.subtract(first..<first + count)
      default:
        other.insert(range)
        otherPages.formUnion(first..<first + count)
      }
      #expect(set.pages == UInt64(pages.count))
      for page in 0..<70 as Range<UInt64> {
        #expect(set.contains(page * 4096 + 5) == pages.contains(page))
      }
      #expect(zip(set.ranges, set.ranges.dropFirst()).allSatisfy { $0.end < $1.start })
      #expect(set == GPARangeSet(set.ranges.reversed()))
      let common = set.intersection(other)
      #expect(common.pages == UInt64(pages.intersection(otherPages).count))
      #expect(common == other.intersection(set))
    }
  }

  /// Rows: attributes and the first page that contradicts private 0x1000-0x2fff and 0x5000-0x5fff
  /// (unaccepted) among shared pages up to 0x7fff.
  @Test(
    arguments: [
      ("0x1000-0x2fff,0x5000-0x5fff", nil), ("all", 0), ("none", 0x1000),
      ("0x1000-0x1fff,0x5000-0x5fff", 0x2000), ("0x1000-0x3fff,0x5000-0x5fff", 0x3000),
      ("0x1000-0x2fff,0x5000-0x7fff", 0x6000),
      ("0x1000-0x2fff,0x5000-0x5fff,0x7000-0x7fff", 0x7000),
      ("0x1000-0x2fff", 0x5000), ("0x1000-0x2fff,0x5000-0x5fff,0x8000-0xffff", 0x8000),
    ] as [(String, UInt64?)])
  func theFirstContradictionIsFound(text: String, place: UInt64?) throws {
    let states = try PageStateMap(joining: [
      PageRun(gpa: 0, pages: 1, state: .shared),
      PageRun(gpa: 0x1000, pages: 2, state: .validated, permissions: .guestDefault),
      PageRun(gpa: 0x3000, pages: 2, state: .shared),
      PageRun(gpa: 0x5000, pages: 1, state: .unaccepted),
      PageRun(gpa: 0x6000, pages: 2, state: .shared),
    ])
    let attributes = try GPARangeSet(parsing: text).ranges.map { $0.start..<$0.end }
    #expect(states.firstDisagreement(with: attributes) == place)
  }
}
