internal import Cryptography
package import Errors
internal import Wire

/// The transcript of a migration: SHA-384 over the transfer data, then the first 48 bytes of each
/// page record, each epoch token and the fixed part of each final record, in stream order
/// (`Formats/stream.md`, section 4.5).
package struct RecordTranscript: ~Copyable {
  /// Number of bytes of page records that are hashed at once: the heads of 64 records.
  private static let headsSize = 64 * PageMetadata.contentOffset

  private var digest: SHA384
  /// Heads of page records that are not hashed yet.
  private var heads: [UInt8] = []
  /// Number of page records in the transcript.
  private(set) var pages: UInt64 = 0

  /// - Parameter transferData: the payload of the session section; the transcript begins with it.
  package init(transferData: [UInt8]) throws(MigrationError) {
    var digest = try SHA384()
    try digest.update(transferData)
    self.digest = digest
    heads.reserveCapacity(Self.headsSize)
  }

  /// Adds page records.
  /// - Parameter records: the first 48 bytes of each.
  package mutating func append(pages records: Span<UInt8>) throws(MigrationError) {
    if heads.count + records.count > Self.headsSize { try digestHeads() }
    heads.append(copying: records)
    pages += UInt64(records.count / PageMetadata.contentOffset)
  }

  /// Adds a token of 128 bytes, or the fixed part of a final record.
  package mutating func append(_ record: Span<UInt8>) throws(MigrationError) {
    try digestHeads()
    try digest.update(record)
  }

  private mutating func digestHeads() throws(MigrationError) {
    if heads.isEmpty { return }
    try digest.update(heads)
    heads.removeAll(keepingCapacity: true)
  }

  /// The transcript so far: 48 bytes.
  package mutating func snapshot() throws(MigrationError) -> [UInt8] {
    try digestHeads()
    return try digest.snapshot()
  }
}
