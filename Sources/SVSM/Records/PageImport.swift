internal import Cryptography
internal import Errors
internal import Wire

/// Some pages on their way into the destination SVSM, opened by one call.
///
/// Any one thread opens the records, several imports can be opened at once; `DestinationSVSM` then
/// processes the pages one by one in stream order. No content is let out before that; an audit's import
/// keeps none.
package final class PageImport: @unchecked Sendable {
  /// Pages one import takes at most.
  package static let capacity = 64

  /// Pages that were opened.
  package private(set) var count = 0
  /// Bit i: page i authenticates.
  private var authentic: UInt64 = 0
  /// Pages the SVSM has processed.
  private(set) var processed = 0
  /// Bit i: page i is all zero.
  private var zeros: UInt64 = 0
  /// Content of cancels, by their numbers.
  private var strays: [Int: StrayByte] = [:]
  private let keepsContent: Bool
  private var opener: AEADOpener
  // Variables, since Swift 6.3.1 lends no span of a constant that an object holds.
  private var pages = PageBuffer(count: capacity * PageMetadata.pageSize)
  /// Metadata and tag of each record, as they were authenticated: the SVSM's own copy.
  private var heads = PageBuffer(count: capacity * PageMetadata.contentOffset)

  /// - Parameter keepsContent: whether it keeps what a destination needs; else tags are checked only.
  init(_ keys: SessionKeys, keepsContent: Bool) throws(MigrationError) {
    opener = try keys.pageOpener()
    self.keepsContent = keepsContent
  }

  /// Opens page records, whatever their metadata say. Nothing of them is judged here. To keep content it
  /// stops at the first that does not authenticate.
  ///
  /// - Parameters:
  ///   - records: `PageMetadata.recordSize` bytes each, the first at the front.
  ///   - stride: bytes from one record to the next.
  ///   - count: records, at most `capacity`.
  package func open(_ records: Span<UInt8>, stride: Int, count: Int) {
    let size = PageMetadata.recordSize
    precondition(count > 0 && count <= Self.capacity && stride >= size)
    precondition(records.count >= (count - 1) * stride + size)
    (self.count, authentic, processed, zeros, strays) = (count, 0, 0, 0, [:])
    let pages = pages
    // What nobody is to see goes to one place, and is wiped.
    defer { if !keepsContent { pages.zero(0..<PageMetadata.pageSize) } }
    var contents = pages.mutableSpan
    for index in 0..<count {
      let record = records.extracting(index * stride..<index * stride + size)
      let place = keepsContent ? index * PageMetadata.pageSize : 0
      let isAuthentic = opener.openPage(record, into: &contents, at: place)
      if isAuthentic { authentic |= 1 << UInt64(index) }
      guard keepsContent else { continue }
      keep(record, index)
      guard isAuthentic else { return }
    }
  }

  /// Keeps what was authenticated, and what is known of the content.
  private func keep(_ record: Span<UInt8>, _ index: Int) {
    let (heads, pages) = (heads, pages)
    var copies = heads.mutableSpan
    copies.copy(
      record.extracting(first: PageMetadata.contentOffset), to: index * PageMetadata.contentOffset)
    let place = index * PageMetadata.pageSize..<(index + 1) * PageMetadata.pageSize
    if PageMetadata.isCancel(record) {
      pages.zero(place)
      strays[index] = PageMetadata.stray(in: record)
    }
    if pages.span.extracting(place).isAllZero { zeros |= 1 << UInt64(index) }
  }

  /// Whether record `index` authenticates.
  func isAuthentic(_ index: Int) -> Bool { authentic >> UInt64(index) & 1 != 0 }

  /// Content of record `index`, if that is a cancel and has some.
  func stray(_ index: Int) -> StrayByte? { strays.isEmpty ? nil : strays[index] }

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
}
