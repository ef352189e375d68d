import Comparison
import SEVSNP
import SVSM
import Testing

@Suite struct StateTests {
  private func run(
    _ gpa: UInt64, _ pages: UInt64, _ state: PageState,
    _ permissions: VMPLPermissions = .none
  ) -> PageRun {
    PageRun(gpa: gpa, pages: pages, state: state, permissions: permissions)
  }

  @Test("Runs that begin and end elsewhere are compared page by page")
  func runsAreComparedByPages() throws {
    let one = try PageStateMap(
      joining: [run(0, 4, .shared), run(0x4000, 4, .validated, .guestDefault)])
    let other = try PageStateMap(
      joining: [
        run(0, 2, .shared), run(0x2000, 2, .unaccepted), run(0x4000, 3, .validated, .guestDefault),
        run(0x9000, 1, .shared),
      ])
    var found: [StateDifference] = []
    one.differences(to: other) { found.append($0) }
    #expect(found.map(\.gpa) == [0x2000, 0x7000, 0x9000])
    #expect(found.map(\.pages) == [2, 1, 1])
    #expect(found.map { $0.before?.state } == [.shared, .validated, nil])
    #expect(found.map { $0.after?.state } == [.unaccepted, nil, .shared])
    one.differences(to: one) { Issue.record("\($0)") }
  }

  @Test("What a record says comes back from its number")
  func aRecordIsPacked() throws {
    for operation in PageMetadata.Operation.allCases {
      for size in RMPPageSize.allCases {
        let page = PageMetadata(
          sequence: 7, gpa: 0x1000, epoch: .max, operation: operation, size: size,
          permissions: VMPLPermissions(rawValue: 0x1f0f_0701))
        let facts = PageRecordFacts(page)
        #expect(PageRecordFacts(packed: facts.packed) == facts)
      }
    }
    #expect(PageRecordFacts(packed: 0) == nil)
  }
}
