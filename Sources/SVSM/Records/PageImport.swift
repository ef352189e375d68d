internal import Cryptography
internal import Errors
internal import Wire

/// Some pages on their way into the destination SVSM, opened by one call.
///
/// Any one thread opens the records, several imports can be opened at once; `DestinationSVSM` then
/// processes the pages one by one in stream order. No content is let out before that.
package final class PageImport: @unchecked Sendable {
  /// Pages one import takes at most.
  package static let capacity = 64

  /// Pages that were opened.
  package private(set) var count = 0
  /// The first of them whose tag is wrong; `count` when all are good.
  private var authentic = 0
  /// Pages the SVSM has processed.
  private var processed = 0
  /// Bit i: page i is all zero.
  private var zeros: UInt64 = 0
  /// The first cancel that carries content: its number, the byte of the record, and what that is.
  private(set) var stray: (index: Int, byte: Int, value: UInt8)?
  private var opener: AEADOpener
  // Variables, since Swift 6.3.1 lends no span of a constant that an object holds.
  private var pages = PageBuffer(count: capacity * PageMetadata.pageSize)
  /// Metadata and tag of each record, as they were authenticated: the SVSM's own copy.
  private var heads = PageBuffer(count: capacity * PageMetadata.contentOffset)

  init(_ keys: SessionKeys) throws(MigrationError) {
    opener = try keys.pageOpener()
  }

  /// Opens page records, whatever their metadata say. Nothing of them is judged here.
  ///
  /// - Parameters:
  ///   - records: `PageMetadata.recordSize` bytes each, the first at the front.
  ///   - stride: bytes from one record to the next.
  ///   - count: records, at most `capacity`.
  package func open(_ records: Span<UInt8>, stride: Int, count: Int) {
    let size = PageMetadata.recordSize
    precondition(count > 0 && count <= Self.capacity && stride >= size)
    precondition(records.count >= (count - 1) * stride + size)
    (self.count, authentic, processed, zeros, stray) = (count, 0, 0, 0, nil)
    let (heads, pages) = (heads, pages)
    var copies = heads.mutableSpan
    var contents = pages.mutableSpan
    for index in 0..<count {
      let record = records.extracting(index * stride..<index * stride + size)
      let place = index * PageMetadata.pageSize
      copies.copy(
        record.extracting(first: PageMetadata.contentOffset), to: index * PageMetadata.contentOffset
      )
      guard opener.openPage(record, into: &contents, at: place) else { return }
      authentic += 1
      if PageMetadata.isCancel(record) {
        pages.zero(place..<place + PageMetadata.pageSize)
        note(cancel: record, index)
      }
      if pages.span.extracting(place..<place + PageMetadata.pageSize).isAllZero {
        zeros |= 1 << UInt64(index)
      }
    }
  }

  /// What authenticated a page.
  enum Opened { case good, forged, missing }

  /// Whether page `index` can be processed next.
  func state(of index: Int) -> Opened {
    guard index == processed, index < count else { return .missing }
    return index < authentic ? .good : .forged
  }

  /// Metadata and tag of page `index`.
  @_lifetime(borrow self)
  func head(_ index: Int) -> Span<UInt8> {
    let start = index * PageMetadata.contentOffset
    // The buffer, which this object holds for good, keeps the bytes.
    return unsafe _overrideLifetime(heads.span, borrowing: self)
      .extracting(start..<start + PageMetadata.contentOffset)
  }

  func markProcessed() { processed += 1 }

  /// Whether the content of page `index`, which was processed, is all zero; a cancelled page's is.
  package func isZero(_ index: Int) -> Bool {
    precondition(index < processed)
    return zeros >> UInt64(index) & 1 != 0
  }

  /// Contents of the pages that were processed, 4096 bytes each, the first page's at the front.
  package var contents: Span<UInt8> {
    @_lifetime(borrow self) get {
      // The buffer, which this object holds for good, keeps the bytes.
      unsafe _overrideLifetime(pages.span, borrowing: self)
        .extracting(first: processed * PageMetadata.pageSize)
    }
  }

  /// The tag of a cancel does not cover what follows it, which must be zero.
  private func note(cancel record: Span<UInt8>, _ index: Int) {
    guard stray == nil, let byte = PageMetadata.strayByte(inCancel: record) else { return }
    stray = (index, byte, record[byte])
  }
}
