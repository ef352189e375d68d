internal import Cryptography
package import Errors
internal import Wire

/// Some pages on their way out of the source SVSM, packaged by one call.
///
/// `SourceSVSM` begins an export, which gives the pages their sequence numbers; any one thread then
/// packages them; the SVSM finishes the exports in the order in which it began them. Several can be
/// under way at once, as on a machine where several vCPUs run the SVSM. No number ever serves two
/// plaintexts: an export packages once for each time it is begun. An export of cancels takes no
/// content.
package final class PageExport: @unchecked Sendable {
  /// Pages one export takes at most.
  package static let capacity = 64

  enum Stage { case idle, begun, packaged, dead }

  /// Of the first page; the others follow it, one sequence number and one page each.
  private(set) var first: PageMetadata?
  /// Bit i: page i was exported in an earlier epoch and is not exported for the first time.
  private var again: UInt64 = 0
  private(set) var count = 0
  private(set) var stage = Stage.idle
  private var sealer: AEADSealer
  /// Notes each page's content, in sessions of several epochs.
  private var digester: PageDigester?
  /// What it noted, one for each page.
  private(set) var digests: [UInt64]
  /// Metadata and tag of each record, as they go into the transcript: the SVSM's own copy.
  // A variable, since Swift 6.3.1 lends no span of a constant that an object holds.
  private var heads = PageBuffer(count: capacity * PageMetadata.contentOffset)

  /// - Parameter digestKey: to note what is exported; nil where nobody will ask.
  init(_ keys: SessionKeys, digestKey: SecretBytes?) throws(MigrationError) {
    sealer = try keys.pageSealer()
    if let digestKey {
      digester = try PageDigester(key: digestKey)
      digests = [UInt64](repeating: 0, count: Self.capacity)
    } else {
      digester = nil
      digests = []
    }
  }

  /// What the transcript takes of the packaged pages.
  var transcribed: Span<UInt8> {
    @_lifetime(borrow self) get {
      // The buffer, which this object holds for good, keeps the bytes.
      unsafe _overrideLifetime(heads.span, borrowing: self)
        .extracting(first: count * PageMetadata.contentOffset)
    }
  }

  func requireIdle() throws(MigrationError) {
    guard stage == .idle else {
      throw MigrationError(.sessionState, "pages of this export are not finished")
    }
  }

  /// - Parameter again: bit i: page i has been exported before.
  func begin(_ first: PageMetadata, count: Int, again: UInt64) {
    (self.first, self.count, self.again, stage) = (first, count, again, .begun)
  }

  func finish() { stage = .idle }

  /// Packages the pages: encrypts each and writes metadata, tag and ciphertext.
  ///
  /// - Parameters:
  ///   - pages: the content, 4096 bytes for each page; none for cancels.
  ///   - records: where the records go, `PageMetadata.recordSize` bytes each.
  ///   - start: place of the first record in `records`.
  ///   - stride: bytes from one record to the next.
  /// - Throws: `SESSION-STATE` when no export was begun; `INTERNAL-CRYPTOGRAPHY`. It cannot be used
  ///   afterwards.
  package func package(
    _ pages: Span<UInt8>, into records: inout MutableSpan<UInt8>, at start: Int, stride: Int
  ) throws(MigrationError) {
    guard stage == .begun, var page = first, pages.count == count * page.length else {
      throw MigrationError(.sessionState, "no such pages are to be packaged")
    }
    stage = .dead
    // Read once: each access to a property of an object is checked.
    let (heads, again, isNoted) = (self.heads, self.again, !digests.isEmpty)
    let isCancel = page.operation == .cancel
    var copies = heads.mutableSpan
    for index in 0..<count {
      let record = start + index * stride
      if isCancel {
        records.zero(record + PageMetadata.contentOffset..<record + PageMetadata.recordSize)
        page.encode(to: &records, at: record)
        try sealer.sealPage(page, pages, into: &records, at: record)
      } else {
        let place = index * PageMetadata.pageSize
        let content = pages.extracting(place..<place + PageMetadata.pageSize)
        if again != 0 {
          page.operation = again >> UInt64(index) & 1 == 0 ? .migrate : .migrateAgain
        }
        if isNoted, let digest = try digester?.digest(content) { digests[index] = digest }
        page.encode(to: &records, at: record)
        try sealer.sealPage(page, content, into: &records, at: record)
      }
      copies.copy(
        records.span.extracting(record..<record + PageMetadata.contentOffset),
        to: index * PageMetadata.contentOffset)
      page.sequence += 1
      page.gpa += UInt64(PageMetadata.pageSize)
    }
    stage = .packaged
  }
}
