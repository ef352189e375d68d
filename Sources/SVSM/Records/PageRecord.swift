package import Errors
package import SEVSNP
package import Wire

/// What a destination must know of one wrapped page, authenticated as associated data.
///
/// Source: the design's page metadata; the operations follow Intel TDX's GPA list, the nearest
/// complete counterpart.
package struct PageMetadata: Sendable, Hashable {
  /// What the record does to the page.
  package enum Operation: UInt8, Sendable, CaseIterable {
    /// First export of this page.
    case migrate = 1
    /// A newer version of a page exported in an earlier epoch.
    case migrateAgain = 2
    /// Withdraws an earlier export: the guest shared or freed the page.
    case cancel = 3
  }

  /// One record of the section `snp-private-pages`. The content is sealed and opened in place, so
  /// only its offset and size are taken from this layout.
  package struct Layout: WireRecord {
    package static let name = "page-record"

    /// The associated data.
    package var metadata: Metadata
    /// AES-256-GCM.
    package var tag: WireBytes<16>
    /// Ciphertext; zero in a cancel.
    package var content: WireBytes<4096>

    /// The fields that are in the clear.
    package struct Metadata: WireRecord {
      /// From 1, rises by 1 with each record; the AEAD nonce.
      package var sequence: BE64
      /// Guest-physical address, 4 KiB aligned.
      package var gpa: BE64
      /// From 1.
      package var epoch: BE32
      /// 0 none, 1 migrate, 2 migrate again, 3 cancel.
      package var operation: U8
      /// 0 4 KiB, 1 2 MiB.
      package var rmpPageSize: U8
      /// 1; 0 in a cancel.
      package var validated: U8
      /// Zero.
      package var reserved: U8
      /// One byte each for VMPL0 to VMPL3.
      package var vmplPermissions: BE32
      /// Bytes of plaintext: 4096; 0 in a cancel.
      package var length: BE32
    }
  }

  // Computed, because the compiler does not fold a stored constant into its uses, which occur for
  // each page.

  /// Bytes of the metadata: what is authenticated as associated data.
  package static var encodedSize: Int { Layout.Metadata.size }
  /// Offset of the ciphertext in a record.
  package static var contentOffset: Int { Layout.offset(of: \.content) }
  /// Size of a whole record in bytes.
  package static var recordSize: Int { Layout.size }
  /// Size of a page in bytes.
  package static var pageSize: Int { Layout.range(of: \.content).count }

  /// Number of the record, from 1; the AEAD nonce.
  package var sequence: UInt64
  /// Guest-physical address of the page.
  package var gpa: UInt64
  /// Number of the epoch, from 1.
  package var epoch: UInt32
  package var operation: Operation
  /// Size of the RMP entry that covers the page.
  package var size: RMPPageSize
  /// Access permissions of the four VMPLs to the page.
  package var permissions: VMPLPermissions

  package init(
    sequence: UInt64, gpa: UInt64, epoch: UInt32, operation: Operation, size: RMPPageSize,
    permissions: VMPLPermissions
  ) {
    self.sequence = sequence
    self.gpa = gpa
    self.epoch = epoch
    self.operation = operation
    self.size = size
    self.permissions = permissions
  }

  /// Whether a page can be at `gpa`: a multiple of 4096 below 2^52.
  package static func isAddress(_ gpa: UInt64) -> Bool {
    gpa % UInt64(pageSize) == 0 && gpa < PageStateMap.addressLimit
  }

  /// Bytes of plaintext under the tag: 4096, or 0 in a cancel record.
  package var length: Int { operation == .cancel ? 0 : Self.pageSize }

  /// Decodes the metadata of a record that is not the no-operation record, and judges the fields in
  /// the order of the layout.
  /// - Parameter refuse: called with a broken rule that leaves the fields readable.
  /// - Throws: `PAGE-ADDRESS`, `PAGE-OPERATION`, `PAGE-SIZE`, `SECTION-RESERVED`,
  ///   `PAGE-PERMISSIONS`, each with the offset of its field.
  package init(
    from cursor: inout ByteCursor, refuse: MigrationError.Refusal = MigrationError.refuse
  ) throws(MigrationError) {
    let start = cursor.offset
    let record = try cursor.read(Layout.Metadata.self)
    sequence = record.sequence.value
    gpa = record.gpa.value
    epoch = record.epoch.value
    permissions = VMPLPermissions(rawValue: record.vmplPermissions.value)
    if !Self.isAddress(gpa) {
      try refuse(
        MigrationError(
          .pageAddress, "guest-physical address is unaligned or beyond 52 bits",
          at: Layout.offset(of: \.metadata.gpa, from: start),
          expected: "a multiple of 0x1000 below 2^52", got: Hex.number(gpa)))
    }
    guard let operation = Operation(rawValue: record.operation.value) else {
      throw MigrationError(
        .pageOperation, "unknown page operation",
        at: Layout.offset(of: \.metadata.operation, from: start), expected: "1, 2 or 3",
        got: "\(record.operation.value)")
    }
    guard let size = RMPPageSize(rawValue: record.rmpPageSize.value) else {
      throw MigrationError(
        .pageSize, "unknown RMP page size",
        at: Layout.offset(of: \.metadata.rmpPageSize, from: start), expected: "0 or 1",
        got: "\(record.rmpPageSize.value)")
    }
    self.operation = operation
    self.size = size
    try requireMeaning(of: record, at: start, refuse)
  }

  /// Judges the other fields of a record whose operation is known.
  private func requireMeaning(
    of record: Layout.Metadata, at start: UInt64, _ refuse: MigrationError.Refusal
  ) throws(MigrationError) {
    if record.validated.value != (operation == .cancel ? 0 : 1) {
      try refuse(
        MigrationError(
          .pageOperation, "a page that was never validated is not sent",
          at: Layout.offset(of: \.metadata.validated, from: start),
          expected: operation == .cancel ? "0" : "1", got: "\(record.validated.value)"))
    }
    if !record.reserved.isZero {
      try refuse(
        MigrationError(
          .sectionReserved, "reserved byte is not zero",
          at: Layout.offset(of: \.metadata.reserved, from: start), expected: "0",
          got: "\(record.reserved.value)"))
    }
    if !permissions.isValid || operation == .cancel && permissions != .none {
      try refuse(
        MigrationError(
          .pagePermissions, "impossible VMPL permissions",
          at: Layout.offset(of: \.metadata.vmplPermissions, from: start),
          expected: operation == .cancel ? "0x0" : "bits of 0x1f1f1f1f",
          got: Hex.number(permissions.rawValue)))
    }
    if Int(record.length.value) != length {
      try refuse(
        MigrationError(
          .pageSize, "wrong length of plaintext",
          at: Layout.offset(of: \.metadata.length, from: start), expected: "\(length)",
          got: "\(record.length.value)"))
    }
  }

  /// Whether a record's metadata say that it is a cancel. Precondition: it contains the metadata.
  static func isCancel(_ record: Span<UInt8>) -> Bool {
    record[Layout.offset(of: \.metadata.operation)] == Operation.cancel.rawValue
  }

  /// The first nonzero content byte of a record that says it is a cancel. A cancel record has no
  /// content, and its tag covers none. Precondition: the record is whole.
  static func stray(in record: Span<UInt8>) -> StrayByte? {
    guard isCancel(record),
      let place = (contentOffset..<recordSize).first(where: { record[$0] != 0 })
    else { return nil }
    return StrayByte(place: place, value: record[place])
  }

  /// Writes the metadata at `offset` of `record`, in place.
  package func encode(to record: inout MutableSpan<UInt8>, at offset: Int) {
    record.put(
      Layout.Metadata(
        sequence: BE64(sequence), gpa: BE64(gpa), epoch: BE32(epoch),
        operation: U8(operation.rawValue), rmpPageSize: U8(size.rawValue),
        validated: U8(operation == .cancel ? 0 : 1), reserved: U8(0),
        vmplPermissions: BE32(permissions.rawValue), length: BE32(UInt32(length))), at: offset)
  }
}
