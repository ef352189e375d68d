package import Errors
internal import SEVSNP
package import Wire

/// The envelope of one encrypted piece of final state: a vCPU, a service, the secrets page's facts
/// or a part of the page-state map.
package struct FinalRecord: Sendable, Hashable {
  /// The fixed part of a final record. The ciphertext follows. The fields before the tag are the
  /// associated data.
  package struct Layout: WireRecord {
    package static let name = "final-record"

    /// 1 vCPU, 2 service, 3 secrets page, 4 page states.
    package var kind: BE16
    /// Zero.
    package var reserved: BE16
    /// Number among its kind, from 0; the section's instance id.
    package var index: BE32
    /// Number among all final records, from 1; the AEAD nonce.
    package var sequence: BE64
    /// Bytes of ciphertext.
    package var length: BE32
    /// Zero.
    package var reserved2: BE32
    /// AES-256-GCM.
    package var tag: WireBytes<16>
  }

  /// The longest ciphertext: a service of the largest size with its header.
  package static let maximumLength = ServiceState.maximumSize + ServicePlaintext.Layout.size

  /// Largest number of runs of the page-state map in one part: 768 KiB.
  static let runsPerPart = 32768

  package var kind: Kind
  package var index: UInt32
  /// Number among all final records, from 1; the AEAD nonce.
  package var sequence: UInt64
  /// Length of the ciphertext in bytes.
  package var length: UInt32

  package init(kind: Kind, index: UInt32, sequence: UInt64, length: UInt32) {
    self.kind = kind
    self.index = index
    self.sequence = sequence
    self.length = length
  }

  /// Where a stream holds a record: the kind that its section is for, and the section's instance
  /// id.
  package struct Place: Sendable, Hashable {
    package var kind: Kind
    package var index: UInt32

    package init(_ kind: Kind, _ index: UInt32) { (self.kind, self.index) = (kind, index) }
  }

  /// Size in bytes of the record that begins at `cursor`: fixed part and ciphertext. The length is
  /// the only field that is judged before the tag, because it tells where the record ends.
  /// - Throws: `SECTION-LENGTH`; `STREAM-TRUNCATED` when the fixed part is incomplete.
  package static func size(at cursor: ByteCursor) throws(MigrationError) -> Int {
    let start = cursor.offset
    var cursor = cursor
    let length = try cursor.read(Layout.self).length.value
    guard length > 0, length <= maximumLength else {
      throw MigrationError(
        .sectionLength, "impossible length of a final record",
        at: Layout.offset(of: \.length, from: start), expected: "1 to \(maximumLength)",
        got: "\(length)")
    }
    return Layout.size + Int(length)
  }

  /// Decodes the fixed part, except for its tag; the ciphertext follows. A destination has checked
  /// the tag before.
  /// - Parameters:
  ///   - place: the section of the stream that holds the record. After the refusal of an unknown
  ///     kind, the record is treated as one of this kind.
  ///   - refuse: called with a broken rule that leaves the record readable.
  /// - Throws: `FINAL-ORDER` when the record belongs in another section, `SECTION-RESERVED`.
  package init(
    from cursor: inout ByteCursor, in place: Place,
    refuse: MigrationError.Refusal = MigrationError.refuse
  ) throws(MigrationError) {
    let start = cursor.offset
    let record = try cursor.read(Layout.self)
    let known = Kind(rawValue: record.kind.value)
    kind = known ?? place.kind
    index = record.index.value
    sequence = record.sequence.value
    length = record.length.value
    if known != place.kind {
      try refuse(
        MigrationError(
          .finalOrder, "final record is not of its section",
          at: Layout.offset(of: \.kind, from: start),
          expected: "kind \(place.kind.rawValue), \(place.kind)", got: "\(record.kind.value)"))
    }
    try record.requireZero([\.reserved, \.reserved2], at: start, refuse: refuse)
    if index != place.index {
      try refuse(
        MigrationError(
          .finalOrder, "final record has another index than its section",
          at: Layout.offset(of: \.index, from: start), expected: "\(place.index)", got: "\(index)"))
    }
  }

  /// The authenticated bytes: all before the tag.
  package var encoded: [UInt8] {
    Layout(
      kind: BE16(kind.rawValue), reserved: BE16(0), index: BE32(index), sequence: BE64(sequence),
      length: BE32(length), reserved2: BE32(0), tag: WireBytes()
    ).bytes(before: \.tag)
  }
}

/// Ends the final state with totals and transcript. Without a commit nothing is restored.
package struct CommitRecord: Sendable, Hashable {
  /// The section `snp-commit`. The fields before the tag are the associated data; there is no
  /// plaintext.
  package struct Layout: WireRecord {
    package static let name = "commit"

    /// 1.
    package var version: BE16
    /// Zero.
    package var reserved: BE16
    /// Number of epochs.
    package var epochs: BE32
    /// Page records of all epochs.
    package var pageRecords: BE64
    /// Validated pages of the page-state map.
    package var privatePages: BE64
    /// Final records before this one.
    package var finalRecords: BE64
    /// Of them: vCPUs.
    package var vcpus: BE32
    /// Of them: services.
    package var services: BE32
    /// Of them: secrets pages, 0 or 1.
    package var secretsPages: BE32
    /// Of them: parts of the page-state map.
    package var mapParts: BE32
    /// SHA-384 of all that came before.
    package var transcript: WireBytes<48>
    /// Zero.
    package var reserved2: WireBytes<32>
    /// AES-256-GCM.
    package var tag: WireBytes<16>
  }

  /// The only version.
  private static let version: UInt16 = 1

  /// Number of epochs.
  package var epochs: UInt32
  /// Number of page records of all epochs.
  package var pageRecords: UInt64
  /// Number of private pages that were exported and not withdrawn.
  package var privatePages: UInt64
  /// Final records before the commit, by kind.
  package var final: FinalCounts
  /// SHA-384, 48 bytes.
  package var transcript: [UInt8]

  package init(
    epochs: UInt32, pageRecords: UInt64, privatePages: UInt64, final: FinalCounts,
    transcript: [UInt8]
  ) {
    self.epochs = epochs
    self.pageRecords = pageRecords
    self.privatePages = privatePages
    self.final = final
    self.transcript = transcript
  }

  /// Decodes a commit, except for its tag.
  /// - Parameter refuse: called with a broken rule that leaves the fields readable.
  /// - Throws: `SESSION-VERSION`, `SECTION-RESERVED`, `COMMIT-TOTALS`.
  package init(
    from cursor: inout ByteCursor, refuse: MigrationError.Refusal = MigrationError.refuse
  ) throws(MigrationError) {
    let start = cursor.offset
    let record = try cursor.read(Layout.self)
    epochs = record.epochs.value
    pageRecords = record.pageRecords.value
    privatePages = record.privatePages.value
    final = FinalCounts(record)
    transcript = record.transcript.array
    if record.version.value != Self.version {
      try refuse(
        MigrationError(
          .sessionVersion, "unknown version of the commit record",
          at: Layout.offset(of: \.version, from: start), expected: "\(Self.version)",
          got: "\(record.version.value)"))
    }
    try record.requireZero([\.reserved, \.reserved2], at: start, refuse: refuse)
    if final.total != record.finalRecords.value {
      try refuse(
        MigrationError(
          .commitTotals, "commit's counts do not add up",
          at: Layout.offset(of: \.finalRecords, from: start),
          expected: "\(record.finalRecords.value)", got: "\(final.total)"))
    }
  }

  /// The authenticated bytes: all before the tag.
  package var encoded: [UInt8] {
    var record = Layout()
    record.version = BE16(Self.version)
    record.epochs = BE32(epochs)
    record.pageRecords = BE64(pageRecords)
    record.privatePages = BE64(privatePages)
    record.finalRecords = BE64(final.total)
    final.put(in: &record)
    record.transcript = WireBytes(transcript)
    return record.bytes(before: \.tag)
  }
}
