import Guest
import Import
import Inspection
import MigrationSupport
import QEMUStream
import SEVSNP
import SVSM
import TestSupport
import Testing

/// What an inspection counts in each epoch.
@Suite struct EpochTableTests {
  private func inspect(_ stream: [UInt8], keys: Rehearsal.Keys? = nil) throws -> InspectedStream {
    var options = InspectionOptions()
    options.countsEpochs = true
    return try SNPInspector(StreamInput(ArraySource(stream)), options: options, keys: keys)
      .inspect { _ in }
  }

  private func stream() throws -> [UInt8] {
    let guests = try everyWay.map { try SmallGuest.make($0) }
    return try Lab.save(guests[0], rounds: Array(guests[1...]), to: Lab.instance(1))
  }

  @Test("each epoch has the records of its token, and all bytes between two tokens are one epoch's")
  func epochsHaveWhatTheirTokensCount() throws {
    let found = try inspect(stream())
    let epochs = try #require(found.rounds?.epochs.elements)
    #expect(epochs.map(\.epoch) == [1, 2, 3])
    #expect(epochs.map(\.records) == found.epochs.elements.map(\.counts))
    #expect(epochs.allSatisfy { $0.isClosed && $0.privateZero == nil })
    #expect(epochs.reduce(0) { $0 + $1.sharedContent } == found.sharedPages.content)
    #expect(epochs.reduce(0) { $0 + $1.sharedZero } == found.sharedPages.zero)
    let parts = found.sections.lines.elements.filter { $0.header.kind == .part }
    let first = try #require(parts.first?.header.offset)
    let end = try #require(
      found.sections.lines.elements.first { $0.header.kind == .end }?.header.offset)
    #expect(epochs.reduce(0) { $0 + $1.bytes } == end - first)
  }

  @Test("a page counts as sent again whatever it was before")
  func aPageIsSentAgainInWhateverForm() throws {
    let found = try inspect(stream())
    let sent = (0..<3).map { epoch in
      everyWay[epoch].enumerated().filter { page, now in
        guard now.state != .unaccepted else { return false }
        guard epoch > 0 else { return true }
        let before = everyWay[epoch - 1][page]
        return before.state != now.state || before.byte != now.byte
      }.map(\.offset)
    }
    var seen = Set(sent[0])
    var again: [UInt64] = [0]
    for pages in sent[1...] {
      again.append(UInt64(pages.count { seen.contains($0) }))
      seen.formUnion(pages)
    }
    #expect(found.rounds?.epochs.elements.map(\.sentAgain) == again)
    let times = (0..<81).map { page in max(0, sent.count { $0.contains(page) } - 1) }
    let hottest = try #require(found.rounds?.hottest(100))
    #expect(hottest.reduce(0) { $0 + $1.times } == again.reduce(0, +))
    for range in hottest {
      let first = Int(range.offset) / 4096
      let inside = times[first..<first + Int(range.pages)]
      #expect(inside.allSatisfy { $0 > 0 })
      #expect(inside.reduce(0, +) == Int(range.times) && inside.max() == Int(range.most))
      let beside = [first - 1, first + Int(range.pages)].filter(times.indices.contains)
      #expect(beside.allSatisfy { times[$0] == 0 })
    }
    #expect(hottest.map(\.times) == hottest.map(\.times).sorted(by: >))
    #expect(found.rounds?.hottest(2) == Array(hottest.prefix(2)))
  }

  @Test("only keys tell which private pages are zero")
  func keysTellZeroPages() throws {
    let keys = Rehearsal.Keys(instance: try Lab.instance(1), anchors: Lab.trust.anchors)
    let epochs = try #require(inspect(stream(), keys: keys).rounds?.epochs.elements)
    // In epoch 3 a third of the contents becomes zero.
    let zeros = everyWay[2].indices.count { page in
      let (before, now) = (everyWay[1][page], everyWay[2][page])
      return now.state == .validated && now.byte == 0
        && (before.state != .validated || before.byte != 0)
    }
    #expect(epochs.map(\.privateZero) == [0, 0, UInt64(zeros)])
  }

  @Test("an epoch whose token is missing is listed as not closed")
  func anEpochWithoutATokenIsListed() throws {
    let whole = try stream()
    let tokens = try inspect(whole).sections.lines.elements
      .filter { $0.header.name == "snp-epochs" && $0.header.kind == .part }
    let cut = Array(whole[..<Int(tokens[1].header.offset)])
    let epochs = try #require(inspect(cut).rounds?.epochs.elements)
    #expect(epochs.map(\.isClosed) == [true, false])
    #expect(epochs[1].records.total ?? 0 > 0)
  }
}
