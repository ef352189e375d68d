internal import Errors
internal import Guest
internal import SVSM
internal import Wire

/// Compares the memory of two sides, block by block and page by page.
struct MemoryComparison {
  /// What is told of the pages that differ, in the order of the blocks.
  typealias Report = (PageDifference) -> Void

  private let before: Side
  private let after: Side
  /// Whether the same key encrypts private pages on both sides.
  private let isSameSession: Bool
  /// Pages whose content is encrypted, so that it could not be compared.
  private(set) var hiddenPages: UInt64 = 0
  /// Pages that were compared.
  private(set) var pages: UInt64 = 0

  init(_ before: Side, _ after: Side) {
    (self.before, self.after) = (before, after)
    isSameSession = before.sessionKey != nil && before.sessionKey == after.sessionKey
  }

  /// - Throws: `IO-READ`, `INPUT-OPEN`.
  mutating func run(_ report: Report) throws(MigrationError) {
    guard let one = before.memory, let other = after.memory else { return }
    let tables = (
      try Entries(one, isOpen: before.isOpen), try Entries(other, isOpen: after.isOpen)
    )
    var open: PageDifference?
    let indices = Dictionary(
      after.blocks.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
    for (index, block) in before.blocks.enumerated() {
      guard let twin = indices[block.name], before.hasMemory(ofBlock: index),
        after.hasMemory(ofBlock: twin)
      else { continue }
      let common = min(one.contents.pages[index], other.contents.pages[twin])
      pages += common
      try compare(tables, Pair(block.name, index, twin), pages: common) { difference in
        if open?.join(difference) == true { return }
        if let open { report(open) }
        open = difference
      }
    }
    if let open { report(open) }
  }

  /// A block of both sides.
  private struct Pair {
    let name: String
    let before: Int
    let after: Int

    init(_ name: String, _ before: Int, _ after: Int) {
      (self.name, self.before, self.after) = (name, before, after)
    }
  }

  private mutating func compare(
    _ tables: (Entries, Entries), _ pair: Pair, pages: UInt64, _ report: Report
  ) throws(MigrationError) {
    let (one, other) = tables
    var page: UInt64 = 0
    while page < pages {
      let step = Entries.step
      let empty = min(
        try one.emptyPages(block: pair.before, from: page, of: pages),
        try other.emptyPages(block: pair.after, from: page, of: pages))
      if empty >= pages - page { return }
      if empty >= step {
        page += empty / step * step
        continue
      }
      let end = min(page + step, pages)
      try one.load(block: pair.before, page..<end)
      try other.load(block: pair.after, page..<end)
      if !one.isEqual(to: other) || one.hasHidden || other.hasHidden {
        for number in page..<end {
          compare(one[number - page], other[number - page], pair, number, report)
        }
      }
      page = end
    }
  }

  private mutating func compare(
    _ one: PageEntry, _ other: PageEntry, _ pair: Pair, _ page: UInt64, _ report: Report
  ) {
    func tell(_ change: PageDifference.Change, _ cause: Cause? = nil) {
      let offset = page * Page.size64
      let gpa =
        before.map?.gpa(block: pair.before, offset: offset)
        ?? after.map?.gpa(block: pair.after, offset: offset)
      let isHosts = gpa != nil && (gpa == before.secretsPage || gpa == after.secretsPage)
      report(
        PageDifference(
          block: pair.name, offset: offset, gpa: gpa, pages: 1, change: change,
          cause: isHosts ? .session : cause))
    }
    if before.form == .snp, after.form == .snp, one.record != other.record {
      switch (one.record, other.record) {
      case (nil, _): tell(.recordAdded)
      case (_, nil): tell(.recordRemoved)
      case (let record?, let now?): tell(.record(before: record, after: now))
      }
    }
    switch (one.isHidden, other.isHidden) {
    case (false, false):
      guard one.content != other.content else { return }
      tell(one.content == 0 ? .filled : other.content == 0 ? .cleared : .content)
    case (true, true) where isSameSession && one.sequence == other.sequence:
      if one.content != other.content { tell(.ciphertext) }
    default: hiddenPages += 1
    }
  }
}

/// What is known of one page.
struct PageEntry {
  /// See `PageDigests.contents`.
  var content: UInt64
  var sequence: UInt64
  /// Of the last record of a private page.
  var record: PageRecordFacts?
  /// Whether the content is encrypted and a key is missing.
  var isHidden: Bool
}

/// The tables of one side, read piece by piece.
private final class Entries {
  /// Pages that are read at once.
  static let step = UInt64(PageTable.windowSize / 8)

  private let contents: BlockFiles
  private let records: BlockFiles?
  private let isOpen: Bool
  private let contentBuffer = PageBuffer(count: PageTable.windowSize)
  private let recordBuffer = PageBuffer(count: 2 * PageTable.windowSize)
  private var count = 0

  init(_ memory: PageDigests, isOpen: Bool) throws(MigrationError) {
    contents = try memory.contents.files()
    records = try memory.records?.files()
    self.isOpen = isOpen
  }

  /// Pages from `page` on that have neither content nor a record.
  func emptyPages(
    block: Int, from page: UInt64, of pages: UInt64
  ) throws(MigrationError) -> UInt64 {
    let first = try contents.stretch(block: block, from: 8 * page, to: 8 * pages)
    guard first.isHole else { return 0 }
    guard let records else { return first.end / 8 - page }
    let second = try records.stretch(block: block, from: 16 * page, to: 16 * pages)
    return second.isHole ? min(first.end / 8, second.end / 16) - page : 0
  }

  func load(block: Int, _ pages: Range<UInt64>) throws(MigrationError) {
    count = pages.count
    let (contentBuffer, recordBuffer) = (contentBuffer, recordBuffer)
    var target = contentBuffer.mutableSpan(0..<8 * count)
    try contents.read(block: block, at: 8 * pages.lowerBound, into: &target)
    guard let records else { return }
    var second = recordBuffer.mutableSpan(0..<16 * count)
    try records.read(block: block, at: 16 * pages.lowerBound, into: &second)
  }

  /// Whether what was loaded is the same on another side.
  func isEqual(to other: Entries) -> Bool {
    let (mine, theirs) = (contentBuffer, other.contentBuffer)
    guard
      mine.span.extracting(first: 8 * count).isEqual(to: theirs.span.extracting(first: 8 * count))
    else { return false }
    guard records != nil || other.records != nil else { return true }
    let (records, others) = (recordBuffer, other.recordBuffer)
    return records.span.extracting(first: 16 * count)
      .isEqual(to: others.span.extracting(first: 16 * count))
  }

  /// Whether content that was loaded may be encrypted.
  var hasHidden: Bool { !isOpen && records != nil }

  subscript(index: UInt64) -> PageEntry {
    let (contents, records) = (contentBuffer, recordBuffer)
    let content = PageTable.number(in: contents.span, at: 8 * Int(index))
    guard self.records != nil else {
      return PageEntry(content: content, sequence: 0, record: nil, isHidden: false)
    }
    let record = PageRecordFacts(
      packed: PageTable.number(in: records.span, at: 16 * Int(index) + 8))
    return PageEntry(
      content: content, sequence: PageTable.number(in: records.span, at: 16 * Int(index)),
      record: record, isHidden: !isOpen && record.map { $0.operation != .cancel } ?? false)
  }
}
