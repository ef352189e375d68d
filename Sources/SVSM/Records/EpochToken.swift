package import Errors
package import Wire

/// Closes one epoch with the counts of its page records, so that no record can be dropped or added
/// unnoticed.
///
/// Anyone can read it; it is authenticated under the session's epoch key. Source: the epoch token
/// of Intel TDX migration.
package struct EpochToken: Sendable, Hashable {
  /// One record of the section `snp-epochs`. The fields before the tag are the associated data;
  /// there is no plaintext.
  package struct Layout: WireRecord {
    package static let name = "epoch-token"

    /// From 1, rises by 1.
    package var epoch: BE32
    /// Bit 0: last, the guest is paused and all is exported.
    package var flags: BE32
    /// Page records of this epoch.
    package var records: BE64
    /// Sequence number of the first of them.
    package var firstSequence: BE64
    /// Of them: pages sent for the first time.
    package var migrated: BE64
    /// Of them: newer versions.
    package var migratedAgain: BE64
    /// Of them: withdrawn.
    package var cancelled: BE64
    /// SHA-384 of all that came before (see "Transcript").
    package var transcript: WireBytes<48>
    /// Zero.
    package var reserved: WireBytes<16>
    /// AES-256-GCM.
    package var tag: WireBytes<16>
  }

  /// Number of the epoch, from 1.
  package var epoch: UInt32
  /// Whether this is the last epoch, in which the guest is paused.
  package var isLast: Bool
  /// Sequence number of the first page record of the epoch.
  package var firstSequence: UInt64
  /// Page records of the epoch, by operation.
  package var counts: PageCounts
  /// SHA-384, 48 bytes.
  package var transcript: [UInt8]

  package init(
    epoch: UInt32, isLast: Bool, firstSequence: UInt64, counts: PageCounts, transcript: [UInt8]
  ) {
    self.epoch = epoch
    self.isLast = isLast
    self.firstSequence = firstSequence
    self.counts = counts
    self.transcript = transcript
  }

  /// Decodes a token, except for its tag.
  /// - Parameter refuse: called with a broken rule that leaves the fields readable.
  /// - Throws: `SECTION-RESERVED`, `EPOCH-COUNT`.
  package init(
    from cursor: inout ByteCursor, refuse: MigrationError.Refusal = MigrationError.refuse
  ) throws(MigrationError) {
    let start = cursor.offset
    let record = try cursor.read(Layout.self)
    let flags = record.flags.value
    epoch = record.epoch.value
    isLast = flags & 1 == 1
    firstSequence = record.firstSequence.value
    counts = PageCounts(
      migrated: record.migrated.value, migratedAgain: record.migratedAgain.value,
      cancelled: record.cancelled.value)
    transcript = record.transcript.array
    let isClean = record.reserved.isZero
    if flags & ~1 != 0 || !isClean {
      try refuse(
        MigrationError(
          .sectionReserved, "reserved bits of an epoch token are set",
          at: isClean
            ? Layout.offset(of: \.flags, from: start) : Layout.offset(of: \.reserved, from: start),
          expected: "zero",
          got: isClean ? "flags \(Hex.number(flags))" : "other bytes"))
    }
    if counts.total != record.records.value {
      try refuse(
        MigrationError(
          .epochCount, "epoch token's counts do not add up",
          at: Layout.offset(of: \.records, from: start),
          expected: "\(record.records.value) records", got: "\(counts.description)"))
    }
  }

  /// The authenticated bytes: all before the tag.
  package var encoded: [UInt8] {
    Layout(
      epoch: BE32(epoch), flags: BE32(isLast ? 1 : 0), records: BE64(counts.total ?? 0),
      firstSequence: BE64(firstSequence), migrated: BE64(counts.migrated),
      migratedAgain: BE64(counts.migratedAgain), cancelled: BE64(counts.cancelled),
      transcript: WireBytes(transcript), reserved: WireBytes(), tag: WireBytes()
    ).bytes(before: \.tag)
  }
}

/// Number of page records of each operation.
package struct PageCounts: Sendable, Hashable {
  package var migrated: UInt64 = 0
  package var migratedAgain: UInt64 = 0
  package var cancelled: UInt64 = 0

  package init(migrated: UInt64 = 0, migratedAgain: UInt64 = 0, cancelled: UInt64 = 0) {
    self.migrated = migrated
    self.migratedAgain = migratedAgain
    self.cancelled = cancelled
  }

  /// Number of all records; nil when the sum does not fit in 64 bits.
  package var total: UInt64? {
    let (first, overflowed) = migrated.addingReportingOverflow(migratedAgain)
    let (sum, overflowedAgain) = first.addingReportingOverflow(cancelled)
    return overflowed || overflowedAgain ? nil : sum
  }

  /// Whether nothing was counted.
  package var isEmpty: Bool { migrated | migratedAgain | cancelled == 0 }

  /// Counts one record of `operation`.
  package mutating func add(_ operation: PageMetadata.Operation) {
    switch operation {
    case .migrate: migrated += 1
    case .migrateAgain: migratedAgain += 1
    case .cancel: cancelled += 1
    }
  }
}

extension PageCounts: CustomStringConvertible {
  package var description: String {
    "\(migrated) migrated, \(migratedAgain) again, \(cancelled) cancelled"
  }
}
