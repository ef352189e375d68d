internal import Cryptography
internal import Errors
internal import Wire

/// A batch of page records on their way into the destination SVSM, opened by one call.
///
/// Any one thread opens the records, and several imports can be opened at once. `DestinationSVSM`
/// then processes the pages one by one in stream order. No content is released before that; an
/// import of an audit keeps no content at all.
package final class PageImport: @unchecked Sendable {
  /// Largest number of pages in one import.
  package static let capacity = 64

  /// Number of records in this import.
  package private(set) var count = 0
  /// Bit i: page i authenticates.
  private var authentic: UInt64 = 0
  /// Bytes from one record to the next.
  private(set) var stride = 0
  /// Number of pages that the SVSM has processed.
  private(set) var processed = 0
  /// Number of processed pages that a trace has noted.
  var traced = 0
  /// Bit i: page i is all zero.
  private var zeros: UInt64 = 0
  /// First nonzero content byte of cancel records, by record number.
  private var strays: [Int: StrayByte] = [:]
  private let keepsContent: Bool
  private var opener: AEADOpener
  // Variables, because Swift 6.3.1 gives no span of a constant property of an object.
  private var pages = PageBuffer(count: capacity * PageMetadata.pageSize)
  /// Metadata and tag of each record, as the cipher read them: the SVSM's own copy.
  private var heads = PageBuffer(count: capacity * PageMetadata.contentOffset)

  /// - Parameter keepsContent: whether to keep page contents for a destination; otherwise only tags
  ///   are checked.
  init(_ keys: SessionKeys, keepsContent: Bool) throws(MigrationError) {
    opener = try keys.pageOpener()
    self.keepsContent = keepsContent
  }

  /// Opens page records whatever their metadata say; nothing but their tags is judged here. When
  /// content is kept, it stops at the first record that does not authenticate.
  ///
  /// - Parameters:
  ///   - records: `PageMetadata.recordSize` bytes each, the first at offset 0.
  ///   - stride: bytes from the start of one record to the start of the next.
  ///   - count: number of records, at most `capacity`.
  package func open(_ records: Span<UInt8>, stride: Int, count: Int) {
    let size = PageMetadata.recordSize
    precondition(count > 0 && count <= Self.capacity && stride >= size)
    precondition(records.count >= (count - 1) * stride + size)
    (self.count, self.stride) = (count, stride)
    (authentic, processed, traced, zeros, strays) = (0, 0, 0, 0, [:])
    let pages = pages
    // Content that must not be kept is decrypted to one place, which is wiped.
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

  /// Keeps the head of a record that was opened, and what is known of its content.
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

  /// The first nonzero content byte of record `index` if it is a cancel record that has one.
  func stray(_ index: Int) -> StrayByte? { strays.isEmpty ? nil : strays[index] }

  /// Metadata and tag of page `index`.
  @_lifetime(borrow self)
  func head(_ index: Int) -> Span<UInt8> {
    let start = index * PageMetadata.contentOffset
    // The bytes belong to the buffer, which lives as long as this object.
    return unsafe _overrideLifetime(heads.span, borrowing: self)
      .extracting(start..<start + PageMetadata.contentOffset)
  }

  func markProcessed() { processed += 1 }

  /// Whether the content of page `index` is all zero; that of a cancelled page is. The page must
  /// have been processed.
  package func isZero(_ index: Int) -> Bool {
    precondition(index < processed)
    return zeros >> UInt64(index) & 1 != 0
  }

  /// Contents of the processed pages, 4096 bytes each, the first page at offset 0.
  package var contents: Span<UInt8> {
    @_lifetime(borrow self) get {
      // The bytes belong to the buffer, which lives as long as this object.
      unsafe _overrideLifetime(pages.span, borrowing: self)
        .extracting(first: processed * PageMetadata.pageSize)
    }
  }
}
