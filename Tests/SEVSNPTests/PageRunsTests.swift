import Errors
import SEVSNP
import TestSupport
import Testing
import Wire

@Suite struct PageRunsTests {
  /// Runs with gaps, lengths and facts of all sizes, so that they are in several groups and pieces.
  private static func manyRuns(_ count: Int) -> [PageRun] {
    var steps = Steps(seed: 11)
    var runs: [PageRun] = []
    var page: UInt64 = 0
    for _ in 0..<count {
      let size = RMPPageSize.allCases[Int(steps.next() % 2)]
      let unit = size.bytes / 4096
      page = (page + steps.next() % (1 << (steps.next() % 22)) + unit - 1) / unit * unit
      let pages = unit * (1 + steps.next() % (1 << (steps.next() % 8)))
      let state = [PageState.shared, .validated, .unaccepted][Int(steps.next() % 3)]
      let bits = UInt32(truncatingIfNeeded: steps.next()) & VMPLPermissions.validMask
      let run = PageRun(
        gpa: page * 4096, pages: pages, state: state, size: size,
        permissions: VMPLPermissions(rawValue: state == .validated ? bits : 0))
      if runs.last?.isContinued(by: run) != true { runs.append(run) }
      page = run.end / 4096
    }
    return runs
  }

  private static func map(_ runs: [PageRun]) throws -> PageStateMap {
    var map = PageStateMap()
    for run in runs { try map.append(run, at: nil) }
    return map
  }

  @Test(
    "packed runs come back as they were, however many there are", arguments: [0, 1, 31, 34, 20000])
  func runsComeBack(count: Int) throws {
    let runs = Self.manyRuns(count)
    let map = try Self.map(runs)
    #expect(Array(map.runs) == runs)
    #expect(map.runs.count == runs.count)
    #expect(map.runs.last == runs.last)
    #expect(map.runs.isEmpty == runs.isEmpty)
    #expect(try map == PageStateMap(joining: runs))
  }

  @Test("a page is found in its run, and nowhere else")
  func pagesAreFound() throws {
    let runs = Self.manyRuns(2000)
    let map = try Self.map(runs)
    for (index, run) in runs.enumerated() {
      #expect(map.run(at: run.gpa) == run)
      #expect(map.run(at: run.end - 1) == run)
      let next = index + 1 < runs.count ? runs[index + 1] : nil
      #expect(map.run(at: run.end) == (next?.gpa == run.end ? next : nil))
      #expect(map.firstPage(in: run.end..<run.end + (64 << 30)) == next?.gpa)
      #expect(map.firstPage(in: run.gpa + 1..<run.gpa + 2) == run.gpa)
    }
  }

  @Test("the parts of runs in a range are cut at its ends")
  func partsAreCut() throws {
    let runs = Self.manyRuns(2000)
    let map = try Self.map(runs)
    for step in stride(from: 0, to: runs.count - 100, by: 37) {
      let range = runs[step].end - 4096..<runs[step + 100].gpa + 4096
      let parts = Array(map.runs(in: range))
      #expect(
        parts.map(\.addresses) == runs[step...step + 100].map { $0.addresses.clamped(to: range) })
      #expect(parts.map(\.permissions) == runs[step...step + 100].map(\.permissions))
    }
    #expect(Array(map.runs(in: 0..<PageStateMap.addressLimit)) == runs)
  }

  @Test("ranges of accepted states are joined over runs that differ in anything else")
  func rangesAreJoined() throws {
    let map = try PageStateMap(joining: [
      PageRun(gpa: 0, pages: 512, state: .unaccepted, size: .size2M),
      PageRun(gpa: 2 << 20, pages: 1, state: .unaccepted),
      PageRun(gpa: 0x201000, pages: 1, state: .validated, permissions: .guestDefault),
      PageRun(gpa: 0x202000, pages: 1, state: .shared),
      PageRun(gpa: 0x204000, pages: 2, state: .validated),
    ])
    #expect(Array(map.ranges(where: \.isPrivate)) == [0..<0x202000, 0x204000..<0x206000])
    #expect(Array(map.ranges()) == [0..<0x203000, 0x204000..<0x206000])
    #expect(
      Array(map.ranges(in: 0x1000..<0x205000, where: \.isPrivate)) == [
        0x1000..<0x202000, 0x204000..<0x205000,
      ])
  }

  /// All that 52 bits of address and 20 of permissions can say is packed in one run.
  @Test func theLargestRunIsPacked() throws {
    let most = VMPLPermissions(rawValue: VMPLPermissions.validMask)
    let whole = PageRun(gpa: 0, pages: 1 << 40, state: .validated, permissions: most)
    #expect(try Array(PageStateMap(joining: [whole]).runs) == [whole])
    let apart = [
      PageRun(gpa: (1 << 52) - 8192, pages: 1, state: .validated, permissions: most),
      PageRun(gpa: (1 << 52) - 4096, pages: 1, state: .validated),
    ]
    #expect(try Array(PageStateMap(joining: apart).runs) == apart)
    let long = [
      PageRun(gpa: 0, pages: (1 << 40) - 1, state: .shared),
      PageRun(gpa: (1 << 52) - 4096, pages: 1, state: .secrets),
    ]
    #expect(try Array(PageStateMap(joining: long).runs) == long)
  }

  @Test("the parts of the encoding make the map")
  func partsMakeTheMap() throws {
    let map = try Self.map(Self.manyRuns(100))
    let parts = Array(map.encoded(inPartsOf: 30))
    #expect(parts.map { $0.count / PageStateMap.Layout.size } == [30, 30, 30, map.runs.count - 90])
    var read = PageStateMap()
    for part in parts {
      var cursor = ByteCursor(part.span)
      try read.appendRuns(from: &cursor)
    }
    #expect(read == map)
    #expect(Array(PageStateMap().encoded(inPartsOf: 30)).isEmpty)
  }

  /// Without a limit a source could fill the memory of its destination.
  @Test func thereIsALimitOfRuns() throws {
    var map = PageStateMap()
    func run(_ index: Int) -> PageRun {
      PageRun(gpa: UInt64(index) << 13, pages: 1, state: .shared)
    }
    for index in 0..<PageStateMap.maximumCount { try map.append(run(index), at: nil) }
    let refused = refusal { try map.append(run(PageStateMap.maximumCount), at: 24) }
    #expect(refused?.code == .mapSyntax)
    #expect(refused?.offset == 24)
    #expect(refused?.expected == "at most 2097152")
    #expect(map.runs.count == PageStateMap.maximumCount)
  }
}
