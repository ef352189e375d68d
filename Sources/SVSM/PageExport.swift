public import Bytes
internal import Cryptography

/// Some pages on their way out of the source SVSM, packaged by one call.
///
/// `SourceSVSM` begins an export, which gives the pages their sequence numbers; any one thread then
/// packages them; the SVSM finishes the exports in the order in which it began them. Several can be
/// under way at once, as on a machine where several vCPUs run the SVSM. No number ever serves two
/// plaintexts: an export packages once for each time it is begun.
public final class PageExport: @unchecked Sendable {
  /// Pages one export takes at most.
  public static let capacity = 64

  enum Stage { case idle, begun, packaged, dead }

  /// Of the first page; the others follow it, one sequence number and one page each.
  private(set) var first: PageMetadata?
  private(set) var count = 0
  private(set) var stage = Stage.idle
  private var sealer: AEADSealer
  /// Metadata and tag of each record, as they go into the transcript: the SVSM's own copy.
  // A variable, since Swift 6.3.1 lends no span of a constant that an object holds.
  private var heads = PageBuffer(count: capacity * PageMetadata.contentOffset)

  init(_ keys: SessionKeys) throws(MigrationError) {
    sealer = try keys.pageSealer()
  }

  /// What the transcript takes of the packaged pages.
  var transcribed: Span<UInt8> {
    @_lifetime(borrow self) get {
      // The buffer, which this object holds for good, keeps the bytes.
      unsafe _overrideLifetime(heads.span, borrowing: self)
        .extracting(first: count * PageMetadata.contentOffset)
    }
  }

  func begin(_ first: PageMetadata, count: Int) throws(MigrationError) {
    guard stage == .idle else {
      throw MigrationError(.sessionState, "pages of this export are not finished")
    }
    (self.first, self.count, stage) = (first, count, .begun)
  }

  func finish() { stage = .idle }

  /// Packages the pages: encrypts each and writes metadata, tag and ciphertext.
  ///
  /// - Parameters:
  ///   - pages: the content, 4096 bytes for each page.
  ///   - records: where the records go, `PageMetadata.recordSize` bytes each.
  ///   - start: place of the first record in `records`.
  ///   - stride: bytes from one record to the next.
  /// - Throws: `SESSION-STATE` when no export was begun; `INTERNAL-CRYPTOGRAPHY`. It cannot be used
  ///   afterwards.
  public func package(
    _ pages: Span<UInt8>, into records: inout MutableSpan<UInt8>, at start: Int, stride: Int
  ) throws(MigrationError) {
    guard stage == .begun, var page = first, pages.count == count * PageMetadata.pageSize else {
      throw MigrationError(.sessionState, "no such pages are to be packaged")
    }
    stage = .dead
    let heads = self.heads
    var copies = heads.mutableSpan
    for index in 0..<count {
      let record = start + index * stride
      let content = index * PageMetadata.pageSize
      page.encode(to: &records, at: record)
      try sealer.sealPage(
        page, pages.extracting(content..<content + PageMetadata.pageSize), into: &records,
        at: record)
      copies.copy(
        records.span.extracting(record..<record + PageMetadata.contentOffset),
        to: index * PageMetadata.contentOffset)
      page.sequence += 1
      page.gpa += UInt64(PageMetadata.pageSize)
    }
    stage = .packaged
  }
}
