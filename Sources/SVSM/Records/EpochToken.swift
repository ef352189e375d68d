package import Errors
package import Wire

/// Closes one round of pages with its counts, so that none can be dropped or added unseen.
///
/// Readable by anyone, authenticated under the session's epoch key. Source: the epoch token of
/// Intel TDX migration.
package struct EpochToken: Sendable, Hashable {
  /// One record of the section `snp-epochs`, big-endian. The first 112 bytes are the associated
  /// data; there is no plaintext.
  ///
  ///     offset  size  field
  ///          0     4  epoch          from 1, rises by 1
  ///          4     4  flags          bit 0: last, the guest is paused and all is exported
  ///          8     8  records        page records of this epoch
  ///         16     8  first_sequence sequence number of the first of them
  ///         24     8  migrated       of them: pages sent for the first time
  ///         32     8  migrated_again of them: newer versions
  ///         40     8  cancelled      of them: withdrawn
  ///         48    48  transcript     SHA-384 of all that came before (see "Transcript")
  ///         96    16  reserved       zero
  ///        112    16  tag            AES-256-GCM tag
  package static let layout = RecordLayout(
    "epoch-token",
    [
      "epoch": 4, "flags": 4, "records": 8, "first_sequence": 8, "migrated": 8,
      "migrated_again": 8, "cancelled": 8, "transcript": 48, "reserved": 16, "tag": 16,
    ])

  /// Bytes that are authenticated.
  package static let authenticatedSize = 112

  package var epoch: UInt32
  package var isLast: Bool
  package var firstSequence: UInt64
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

  /// Decodes the authenticated part; the tag follows it.
  /// - Parameter refuse: takes what breaks a rule and leaves the fields readable.
  /// - Throws: `SECTION-RESERVED`, `EPOCH-COUNT`.
  package init(
    from cursor: inout ByteCursor, refuse: MigrationError.Refusal = MigrationError.refuse
  ) throws(MigrationError) {
    let start = cursor.offset
    epoch = try cursor.read()
    let flags = try cursor.read(UInt32.self)
    let records = try cursor.read(UInt64.self)
    firstSequence = try cursor.read()
    counts = PageCounts(
      migrated: try cursor.read(), migratedAgain: try cursor.read(), cancelled: try cursor.read())
    transcript = try cursor.takeArray(48)
    let reserved = (try cursor.read(UInt64.self)) | (try cursor.read(UInt64.self))
    if flags & ~1 != 0 || reserved != 0 {
      try refuse(
        MigrationError(
          .sectionReserved, "reserved bits of an epoch token are set",
          at: start + (reserved == 0 ? 4 : 96), expected: "zero",
          got: reserved == 0 ? "flags 0x\(String(flags, radix: 16))" : "other bytes"))
    }
    isLast = flags & 1 == 1
    if counts.total != records {
      try refuse(
        MigrationError(
          .epochCount, "epoch token's counts do not add up", at: start + 8,
          expected: "\(records) records", got: "\(counts.description)"))
    }
  }

  /// The 112 authenticated bytes.
  package var encoded: [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(bigEndian: epoch)
    bytes.append(bigEndian: UInt32(isLast ? 1 : 0))
    bytes.append(bigEndian: counts.total ?? 0)
    bytes.append(bigEndian: firstSequence)
    bytes.append(bigEndian: counts.migrated)
    bytes.append(bigEndian: counts.migratedAgain)
    bytes.append(bigEndian: counts.cancelled)
    bytes += transcript
    bytes += [UInt8](repeating: 0, count: 16)
    return bytes
  }
}

/// How many page records of each operation there were.
package struct PageCounts: Sendable, Hashable {
  package var migrated: UInt64 = 0
  package var migratedAgain: UInt64 = 0
  package var cancelled: UInt64 = 0

  package init(migrated: UInt64 = 0, migratedAgain: UInt64 = 0, cancelled: UInt64 = 0) {
    self.migrated = migrated
    self.migratedAgain = migratedAgain
    self.cancelled = cancelled
  }

  /// All records, or nil when the sum has no 64-bit value.
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
