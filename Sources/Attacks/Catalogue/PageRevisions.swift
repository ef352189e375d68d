internal import Errors
internal import PageSets
internal import SVSM
internal import Wire

/// The page records of an input whose page came before, found by reading the metadata of every record.
///
/// It holds a few bits for each page, and no record: each question is answered by reading again.
final class PageRevisions {
  enum Name: String {
    /// Records of pages that come only once.
    case once
    /// Records with the operation "migrate again".
    case again
    /// For each of those, the record that it supersedes.
    case older
    /// Records that withdraw a page.
    case cancel
    /// Records that withdraw a page that does not come again afterwards.
    case withdrawn
  }

  private struct Question: Hashable {
    var name: Name
    var number: Int
  }

  /// The metadata of one record.
  private struct Entry {
    var index: Int
    /// The page: its address in units of 4 KiB.
    var page: UInt64
    var operation: PageMetadata.Operation?
  }

  private let input: Materials.Input
  private var counts: [Name: Int]?
  /// Pages that come more than once.
  private var repeated = PageTracker()
  /// Answers, since the lines of a recipe name the same record several times.
  private var known: [Question: Anatomy.Part] = [:]

  init(_ input: Materials.Input) { self.input = input }

  /// Number of records that are `name`.
  func count(_ name: Name) throws(MigrationError) -> Int {
    if let counts { return counts[name] ?? 0 }
    let counts = try count()
    self.counts = counts
    return counts[name] ?? 0
  }

  /// The record with this number among those that are `name`; nil when there is none.
  func part(_ name: Name, _ number: Int) throws(MigrationError) -> Anatomy.Part? {
    let question = Question(name: name, number: number)
    if let part = known[question] { return part }
    guard number >= 0, number < (try count(name)), let index = try find(name, number) else {
      return nil
    }
    known[question] = try input.anatomy.part(.page, index)
    return known[question]
  }

  // MARK: Reading

  private func read(
    backward: Bool = false, _ body: (Entry) throws(MigrationError) -> Bool
  ) throws(MigrationError) {
    try input.anatomy.visit([.page], backward: backward) {
      (part) throws(MigrationError) in
      let head = try input.store.read(
        part.body..<part.body + UInt64(PageMetadata.encodedSize))
      let metadata = PageMetadata.Layout.Metadata(at: 0, of: head.span)
      return try body(
        Entry(
          index: part.index, page: metadata.gpa.value / Page.size64,
          operation: PageMetadata.Operation(rawValue: metadata.operation.value)))
    }
  }

  private func count() throws(MigrationError) -> [Name: Int] {
    var counts: [Name: Int] = [:]
    var seen = PageTracker()
    try read { (entry) throws(MigrationError) in
      let isKnown = try seen.note(entry.page, isPresent: true).isPresent
      if isKnown { try repeated.note(entry.page, isPresent: true) }
      if entry.operation == .migrateAgain {
        counts[.again, default: 0] += 1
        if isKnown { counts[.older, default: 0] += 1 }
      }
      if entry.operation == .cancel { counts[.cancel, default: 0] += 1 }
      return true
    }
    counts[.once] = Int(seen.count - repeated.count)
    try readWithdrawn { _ in
      counts[.withdrawn, default: 0] += 1
      return true
    }
    return counts
  }

  /// Calls `body` with each record that is `withdrawn`, the last one first.
  private func readWithdrawn(
    _ body: (Entry) throws(MigrationError) -> Bool
  ) throws(MigrationError) {
    var seen = PageTracker()
    try read(backward: true) { (entry) throws(MigrationError) in
      let comesAgain = try seen.note(entry.page, isPresent: true).isPresent
      if comesAgain || entry.operation != .cancel { return true }
      return try body(entry)
    }
  }

  private func find(_ name: Name, _ number: Int) throws(MigrationError) -> Int? {
    var left = number
    var found: Entry?
    func take(_ entry: Entry, _ isWanted: Bool) -> Bool {
      if isWanted, left == 0 { found = entry }
      if isWanted { left -= 1 }
      return found == nil
    }
    switch name {
    case .once:
      try read { (entry) throws(MigrationError) in
        take(entry, try !repeated.bits(of: entry.page).isPresent)
      }
    case .again: try read { take($0, $0.operation == .migrateAgain) }
    case .cancel: try read { take($0, $0.operation == .cancel) }
    case .withdrawn:
      left = try count(.withdrawn) - 1 - number
      try readWithdrawn { take($0, true) }
    case .older:
      var seen = PageTracker()
      try read { (entry) throws(MigrationError) in
        let isKnown = try seen.note(entry.page, isPresent: true).isPresent
        return take(entry, isKnown && entry.operation == .migrateAgain)
      }
      guard let newer = found else { return nil }
      try read { entry in
        if entry.index < newer.index, entry.page == newer.page { found = entry }
        return entry.index < newer.index
      }
    }
    return found?.index
  }
}
