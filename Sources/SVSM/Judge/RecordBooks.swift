package import Errors
package import SEVSNP

/// Bookkeeping of a migration's records: which of them came, and how a broken rule is handled.
///
/// `RecordLedger` ends with the first broken rule; `LedgerRecovery` reports each one and continues.
package protocol RecordBooks: ~Copyable {
  /// Called with each broken rule.
  var refuse: MigrationError.Refusal { get }
  /// The open epoch: the one that page records belong to now.
  var epoch: UInt32 { get }

  /// Admits a page record.
  /// - Parameters:
  ///   - record: metadata and tag as on the wire: the record's first 48 bytes.
  ///   - offset: where the record begins in the stream.
  /// - Throws: `EPOCH-ORDER`, `PAGE-SEQUENCE`, `PAGE-EPOCH`, `PAGE-REPEATED`, `PAGE-OPERATION`.
  mutating func admit(
    _ page: PageMetadata, record: Span<UInt8>, at offset: UInt64
  ) throws(MigrationError)

  /// Admits the token that closes the current epoch.
  /// - Parameter record: the whole token as on the wire, 128 bytes.
  /// - Throws: `EPOCH-ORDER`, `EPOCH-COUNT`, `EPOCH-TRANSCRIPT`.
  mutating func admit(
    _ token: EpochToken, record: Span<UInt8>, at offset: UInt64
  ) throws(MigrationError)

  /// Admits a final record.
  /// - Parameter header: its fixed part as on the wire, tag included: 40 bytes.
  /// - Throws: `FINAL-ORDER`.
  mutating func admit(
    _ record: FinalRecord, header: Span<UInt8>, at offset: UInt64
  ) throws(MigrationError)

  /// Admits the commit.
  /// - Throws: `FINAL-ORDER`, `COMMIT-TOTALS`, `COMMIT-TRANSCRIPT`, `VCPU-COUNT`, `SECTION-LENGTH`.
  mutating func admit(_ commit: CommitRecord, at offset: UInt64) throws(MigrationError)

  /// Compares the pages that came with the validated pages of the trusted page-state map.
  /// - Parameters:
  ///   - limit: largest number of missing pages that are reported.
  ///   - offset: where the commit begins in the stream.
  /// - Returns: number of missing pages beyond those reported.
  /// - Throws: `MAP-MISSING-PAGE`, `MAP-UNEXPECTED-PAGE`.
  mutating func compare(
    with states: PageStateMap, naming limit: Int, at offset: UInt64
  ) throws(MigrationError) -> UInt64
}
