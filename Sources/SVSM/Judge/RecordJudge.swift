internal import Cryptography
package import Errors
internal import Wire

/// Judges the records of a session, with one method for each kind: first the tag, then the fields,
/// then the position in the stream, then the content. A destination, an audit of its stream and a
/// verifier without keys all judge records by this type alone.
///
/// They differ in two ways, both set by the caller: the books decide whether the first broken rule
/// ends the judgement, and without keys no tag is checked and nothing is opened.
package struct RecordJudge<Books: RecordBooks & ~Copyable>: ~Copyable {
  var books: Books
  /// The keys of the session; nil when they are not available.
  private(set) var keys: JudgeKeys?

  init(_ books: consuming Books, _ keys: consuming JudgeKeys?) {
    self.books = books
    self.keys = keys
  }

  private var hasKeys: Bool { keys != nil }

  /// Judges a page record. The fields of a forged record are judged too if the books continue after
  /// the tag: they are in the clear.
  ///
  /// - Parameters:
  ///   - head: the first 48 bytes of the record.
  ///   - isAuthentic: whether its tag is good; true when tags cannot be checked.
  ///   - stray: the first nonzero byte of content in a cancel record.
  ///   - offset: where the record begins in the stream.
  /// - Returns: the metadata; nil when they do not tell what the record does to which page, which
  ///   was refused.
  /// - Throws: `PAGE-TAG` before anything else is judged; then what `PageMetadata` and
  ///   `RecordPosition` refuse.
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
    // A refused address is not entered in the books.
    guard PageMetadata.isAddress(page.gpa) else { return nil }
    if let stray {
      try refuse(
        MigrationError(
          .sectionReserved, "a cancel has content", at: offset + UInt64(stray.place),
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
      throw MigrationError(.sectionLength, "epoch token has a wrong length", at: offset)
    }
    if try keys?.session.authenticates(token: record, epoch: books.epoch) == false {
      try refuse(MigrationError(.epochTag, "epoch token does not authenticate", at: offset))
    }
    var cursor = ByteCursor(record, at: offset)
    let token = try EpochToken(from: &cursor, refuse: refuse)
    try books.admit(token, record: record, at: offset)
    return token
  }

  /// Judges one piece of final state: fixed part and ciphertext. With keys its plaintext is judged
  /// too and added to the final state.
  ///
  /// - Parameter place: the section of the stream that holds the record.
  /// - Returns: the fixed part of the record.
  /// - Throws: `SECTION-LENGTH`, `FINAL-TAG`; then what `FinalRecord`, `RecordPosition` and
  ///   `ImportedState` refuse, the last at the record's offset.
  package mutating func judge(
    final record: Span<UInt8>, in place: FinalRecord.Place, at offset: UInt64
  ) throws(MigrationError) -> FinalRecord {
    let refuse = books.refuse
    var cursor = ByteCursor(record, at: offset)
    guard try FinalRecord.size(at: cursor) == record.count else {
      throw MigrationError(
        .sectionLength, "final record has a wrong length",
        at: FinalRecord.Layout.offset(of: \.length, from: offset))
    }
    // A record has at least one byte of content, so no plaintext means that it does not
    // authenticate.
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
    return header
  }

  /// Judges a commit of 144 bytes. With keys it also judges whether the pages that came are those
  /// of the page-state map, and whether the pieces of final state agree with each other.
  ///
  /// - Parameter limit: largest number of missing pages that are reported.
  /// - Throws: `SECTION-LENGTH`, `COMMIT-TAG`; then what `CommitRecord`, `RecordPosition`,
  ///   `RecordBooks` and `TrustedGuestState` refuse.
  package mutating func judge(
    commit record: Span<UInt8>, naming limit: Int, at offset: UInt64
  ) throws(MigrationError) -> JudgedCommit {
    let refuse = books.refuse
    guard record.count == CommitRecord.Layout.size else {
      throw MigrationError(.sectionLength, "commit has a wrong length", at: offset)
    }
    let isAuthentic = try keys?.session.authenticates(commit: record)
    if isAuthentic == false {
      try refuse(MigrationError(.commitTag, "commit does not authenticate", at: offset))
    }
    var cursor = ByteCursor(record, at: offset)
    var judged = JudgedCommit(commit: try CommitRecord(from: &cursor, refuse: refuse))
    try books.admit(judged.commit, at: offset)
    guard isAuthentic == true, let complete = keys?.complete(by: judged.commit) else {
      return judged
    }
    (judged.isAuthentic, judged.complete) = (true, complete)
    guard complete.contains(.pageStates), let states = keys?.pageStates else { return judged }
    judged.unnamedPages = try books.compare(with: states, naming: limit, at: offset)
    try keys?.requireAgreement(of: complete, at: offset, refuse)
    return judged
  }

  /// The state that a destination restores after a commit.
  /// - Returns: nil unless every piece that the commit counts was accepted.
  /// - Throws: `SECRETS-PAGE`.
  package func restored(by judged: JudgedCommit) throws(MigrationError) -> RestoredState? {
    guard judged.complete.count == FinalRecord.Kind.allCases.count else { return nil }
    return try keys?.restored()
  }
}

/// A byte that should be zero: its offset in the record, and its value.
struct StrayByte {
  var place: Int
  var value: UInt8
}

/// A commit, and the outcome of the checks made at it.
package struct JudgedCommit {
  package var commit: CommitRecord
  /// Whether its tag was checked and is good; false without keys.
  package var isAuthentic = false
  /// Kinds for which every piece that the commit counts was accepted.
  package var complete: Set<FinalRecord.Kind> = []
  /// Number of missing pages beyond those that were reported.
  package var unnamedPages: UInt64 = 0
}
