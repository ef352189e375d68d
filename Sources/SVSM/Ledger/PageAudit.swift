internal import Cryptography
internal import Errors
internal import Wire

/// Some page records whose tags are checked, each by itself, and whose content goes nowhere.
///
/// For the key owner's own diagnosis: `PageImport` stops at the first forged page, this does not.
/// Any one thread checks the records; several audits can be at work at once.
package final class PageAudit: @unchecked Sendable {
  /// Records one audit takes at most.
  package static let capacity = 64

  /// Bit i: record i authenticates.
  private var authentic: UInt64 = 0
  private var opener: AEADOpener
  /// What a page decrypts to, wiped at the end of each call.
  private let scratch = PageBuffer(count: PageMetadata.pageSize)

  init(_ keys: SessionKeys) throws(MigrationError) {
    opener = try keys.pageOpener()
  }

  /// Checks the tags of records, whatever their metadata say.
  /// - Parameters:
  ///   - records: `PageMetadata.recordSize` bytes each, the first at the front.
  ///   - stride: bytes from one record to the next.
  ///   - count: records, at most `capacity`.
  package func check(_ records: Span<UInt8>, stride: Int, count: Int) {
    precondition(count > 0 && count <= Self.capacity && stride >= PageMetadata.recordSize)
    precondition(records.count >= (count - 1) * stride + PageMetadata.recordSize)
    authentic = 0
    let scratch = scratch
    defer { scratch.zero(0..<PageMetadata.pageSize) }
    var page = scratch.mutableSpan
    for index in 0..<count {
      let start = index * stride
      let record = records.extracting(start..<start + PageMetadata.recordSize)
      if opener.openPage(record, into: &page, at: 0) { authentic |= 1 << UInt64(index) }
    }
  }

  /// Whether record `index` of the last check authenticates.
  package func isAuthentic(_ index: Int) -> Bool { authentic >> UInt64(index) & 1 != 0 }
}
