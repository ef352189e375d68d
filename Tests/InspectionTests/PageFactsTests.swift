import Inspection
import Testing

/// What is kept of a page with more records than are listed.
@Suite struct PageFactsTests {
  @Test("The last content of a shared page is shown, however many records it has")
  func theLastContentIsKept() {
    var page = PageFacts(gpa: 0x1000)
    for number in 0..<PageFacts.recordLimit + 44 {
      page.note(
        .init(
          offset: UInt64(number), form: .content, content: [UInt8(truncatingIfNeeded: number)]))
    }
    #expect(page.sharedRecords.count == PageFacts.recordLimit && page.omitted == 44)
    #expect(page.lastShared?.content == [UInt8(truncatingIfNeeded: PageFacts.recordLimit + 43)])
  }
}
