internal import Cryptography
package import Errors
internal import Wire

/// A batch of pages on their way out of the source SVSM, packaged by one call.
///
/// `SourceSVSM` begins an export, which gives the pages their sequence numbers; any one thread then
/// packages them, and the SVSM finishes the exports in the order in which it began them. Several
/// exports can be in progress at once, as on a machine where several vCPUs run the SVSM. No
/// sequence number is ever used for two plaintexts: an export packages once for each time it is
/// begun. An export of cancel records takes no content.
package final class PageExport: @unchecked Sendable {
  /// Largest number of pages in one export.
  package static let capacity = 64

  enum Stage { case idle, begun, packaged, dead }

  /// Metadata of the first page. Each of the others has the next sequence number and page address.
  private(set) var first: PageMetadata?
  /// Bit i: page i was exported in an earlier epoch, so its operation is `migrateAgain`.
  private var again: UInt64 = 0
  private(set) var count = 0
  private(set) var stage = Stage.idle
  private var sealer: AEADSealer
  /// Computes the digest of each page's content; nil in sessions of one epoch.
  private var digester: PageDigester?
  /// The digests, one for each page.
  private(set) var digests: [UInt64]
  /// Metadata and tag of each record, as the transcript takes them: the SVSM's own copy.
  // A variable, because Swift 6.3.1 gives no span of a constant property of an object.
  private var heads = PageBuffer(count: capacity * PageMetadata.contentOffset)

  /// - Parameter digestKey: key of the page digests; nil when pages are exported only once.
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

  /// The heads of the packaged records, which the transcript takes.
  var transcribed: Span<UInt8> {
    @_lifetime(borrow self) get {
      // The bytes belong to the buffer, which lives as long as this object.
      unsafe _overrideLifetime(heads.span, borrowing: self)
        .extracting(first: count * PageMetadata.contentOffset)
    }
  }

  /// The metadata of page `index` of those that were begun.
  func metadata(_ index: Int) -> PageMetadata? {
    guard var page = first else { return nil }
    page.sequence += UInt64(index)
    page.gpa += UInt64(index * PageMetadata.pageSize)
    if again >> UInt64(index) & 1 != 0 { page.operation = .migrateAgain }
    return page
  }

  func requireIdle() throws(MigrationError) {
    guard stage == .idle else {
      throw MigrationError(.sessionState, "pages of this export are not finished")
    }
  }

  /// - Parameter again: bit i is set when page i has been exported before.
  func begin(_ first: PageMetadata, count: Int, again: UInt64) {
    (self.first, self.count, self.again, stage) = (first, count, again, .begun)
  }

  func finish() { stage = .idle }

  /// Packages the pages: encrypts each and writes metadata, tag and ciphertext.
  ///
  /// - Parameters:
  ///   - pages: the content, 4096 bytes for each page; empty for cancel records.
  ///   - records: the buffer that takes the records, `PageMetadata.recordSize` bytes each.
  ///   - start: offset of the first record in `records`.
  ///   - stride: bytes from the start of one record to the start of the next.
  /// - Throws: `SESSION-STATE` when no export was begun; `INTERNAL-CRYPTOGRAPHY`, after which the
  ///   export cannot be used again.
  package func package(
    _ pages: Span<UInt8>, into records: inout MutableSpan<UInt8>, at start: Int, stride: Int
  ) throws(MigrationError) {
    guard stage == .begun, var page = first, pages.count == count * page.length else {
      throw MigrationError(.sessionState, "no such pages are to be packaged")
    }
    stage = .dead
    // Read once: Swift checks each access to a property of an object at run time.
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
