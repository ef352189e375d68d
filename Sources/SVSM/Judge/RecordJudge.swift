internal import Cryptography
package import Errors
internal import Wire

/// Judges the records of a session, one kind a method: first the tag, then the fields, then the place, last
/// what is inside. A destination, whoever looks into its stream and a verifier judge with this and nothing
/// else.
///
/// Two things differ, and each is given: the books say whether the first broken rule ends it; without keys
/// no tag is checked and nothing is opened.
package struct RecordJudge<Books: RecordBooks & ~Copyable>: ~Copyable {
  var books: Books
  /// nil without keys.
  private(set) var keys: JudgeKeys?

  init(_ books: consuming Books, _ keys: consuming JudgeKeys?) {
    self.books = books
    self.keys = keys
  }

  private var hasKeys: Bool { keys != nil }

  /// Judges a page record. Fields of a forged one are judged too: they are in the clear.
  ///
  /// - Parameters:
  ///   - head: its first 48 bytes.
  ///   - isAuthentic: whether its tag is good, or nobody can tell.
  ///   - stray: the first byte of a cancel's content that is not zero.
  ///   - offset: where it begins in the stream.
  /// - Returns: nil when it is not known what it does to which page, which was refused.
  /// - Throws: `PAGE-TAG` before anything else is judged; then what `PageMetadata` and `RecordPosition`
  ///   refuse.
  mutating func judge(
    page head: Span<UInt8>, isAuthentic: Bool, stray: StrayByte?, at offset: UInt64
  ) throws(MigrationError) -> PageMetadata? {
    let refuse = books.refuse
    if !isAuthentic {
      try refuse(MigrationError(.pageTag, "page does not authenticate", at: offset))
    }
    var cursor = ByteCursor(head, at: offset)
    let page: PageMetadata
    do throws(MigrationError) {
      page = try PageMetadata(from: &cursor, refuse: refuse)
    } catch {
      try refuse(error)
      return nil
    }
    // An address that was refused goes into no book.
    guard PageMetadata.isAddress(page.gpa) else { return nil }
    if let stray {
      try refuse(
        MigrationError(
          .sectionReserved, "a cancel carries no content", at: offset + UInt64(stray.place),
          expected: "0", got: "\(stray.value)"))
    }
    try books.admit(page, record: head, at: offset)
    return page
  }

  /// Judges an epoch token of 128 bytes.
  /// - Throws: `SECTION-LENGTH`, `EPOCH-TAG`; then what `EpochToken` and `RecordPosition` refuse.
  package mutating func judge(
    token record: Span<UInt8>, at offset: UInt64
  ) throws(MigrationError) -> EpochToken {
    let refuse = books.refuse
    guard record.count == EpochToken.Layout.size else {
      throw MigrationError(.sectionLength, "epoch token has another length", at: offset)
    }
    if try keys?.session.authenticates(token: record, epoch: books.epoch) == false {
      try refuse(MigrationError(.epochTag, "epoch token does not authenticate", at: offset))
    }
    var cursor = ByteCursor(record, at: offset)
    let token = try EpochToken(from: &cursor, refuse: refuse)
    try books.admit(token, record: record, at: offset)
    return token
  }

  /// Judges one piece of final state, fixed part and ciphertext; with keys its content too, which is then
  /// taken in.
  ///
  /// - Parameter place: where the stream has it.
  /// - Throws: `SECTION-LENGTH`, `FINAL-TAG`; then what `FinalRecord`, `RecordPosition` and `ImportedState`
  ///   refuse, with the record's place.
  package mutating func judge(
    final record: Span<UInt8>, in place: FinalRecord.Place, at offset: UInt64
  ) throws(MigrationError) {
    let refuse = books.refuse
    var cursor = ByteCursor(record, at: offset)
    guard try FinalRecord.size(at: cursor) == record.count else {
      throw MigrationError(
        .sectionLength, "final record has another length",
        at: FinalRecord.Layout.offset(of: \.length, from: offset))
    }
    // A record has a byte of content at least: none says that it does not authenticate.
    var plaintext = keys?.open(final: record) ?? []
    defer { wipe(&plaintext) }
    let isForged = hasKeys && plaintext.isEmpty
    if isForged {
      try refuse(MigrationError(.finalTag, "final record does not authenticate", at: offset))
    }
    let header = try FinalRecord(from: &cursor, in: place, refuse: refuse)
    let headSize = FinalRecord.Layout.size
    try books.admit(header, header: record.extracting(first: headSize), at: offset)
    do throws(MigrationError) {
      if !hasKeys { try header.kind.requireLength(record.count - headSize) }
      if !isForged { try keys?.take(header.kind, plaintext.span) }
    } catch {
      // Offsets inside the plaintext mean nothing to a reader of the stream.
      var error = error
      error.offset = offset
      try refuse(error)
    }
  }

  /// Judges a commit of 144 bytes; with keys also whether the pages that came are those of the page-state
  /// map, and whether what the pieces say of one thing agrees.
  ///
  /// - Parameter limit: missing pages that are named at most.
  /// - Throws: `SECTION-LENGTH`, `COMMIT-TAG`; then what `CommitRecord`, `RecordPosition`,
  ///   `PageTracker` and `TrustedGuestState` refuse.
  package mutating func judge(
    commit record: Span<UInt8>, naming limit: Int, at offset: UInt64
  ) throws(MigrationError) -> JudgedCommit {
    let refuse = books.refuse
    guard record.count == CommitRecord.Layout.size else {
      throw MigrationError(.sectionLength, "commit has another length", at: offset)
    }
    let isAuthentic = try keys?.session.authenticates(commit: record)
    if isAuthentic == false {
      try refuse(MigrationError(.commitTag, "commit does not authenticate", at: offset))
    }
    var cursor = ByteCursor(record, at: offset)
    var judged = JudgedCommit(commit: try CommitRecord(from: &cursor, refuse: refuse))
    try books.admit(judged.commit, at: offset)
    guard isAuthentic == true else { return judged }
    judged.isAuthentic = true
    try keys?.finish(&judged, books.tracker, naming: limit, at: offset, refuse)
    return judged
  }

  /// What a destination restores by a commit.
  /// - Returns: nil unless every piece that the commit counts was taken in.
  /// - Throws: `SECRETS-PAGE`.
  package func restored(by judged: JudgedCommit) throws(MigrationError) -> RestoredState? {
    guard judged.complete.count == FinalRecord.Kind.allCases.count else { return nil }
    return try keys?.restored()
  }
}

/// A byte that should be zero: its place in the record, and what it is.
struct StrayByte {
  var place: Int
  var value: UInt8
}

/// A commit, and what it was held against.
package struct JudgedCommit {
  package var commit: CommitRecord
  /// Whether its tag was checked and is good.
  package var isAuthentic = false
  /// Kinds of which every piece that it counts was taken in.
  package var complete: Set<FinalRecord.Kind> = []
  /// Missing pages beside those that were named.
  package var unnamedPages: UInt64 = 0
}
