package import Errors
package import SEVSNP
package import Wire

/// What a destination must know of one wrapped page, authenticated as associated data.
///
/// Source: the design's page metadata; the operations follow Intel TDX's GPA list, of which this is
/// the nearest complete peer.
package struct PageMetadata: Sendable, Hashable {
  /// What to do with the page.
  package enum Operation: UInt8, Sendable, CaseIterable {
    /// First export of this page.
    case migrate = 1
    /// A newer version of a page exported in an earlier epoch.
    case migrateAgain = 2
    /// Withdraws an earlier export: the guest shared or freed the page.
    case cancel = 3
  }

  /// One record of the section `snp-private-pages`, big-endian. The first 32 bytes are the
  /// associated data.
  ///
  ///     offset  size  field
  ///          0     8  sequence         from 1, rises by 1 with each record; the AEAD nonce
  ///          8     8  gpa              guest-physical address, 4 KiB aligned
  ///         16     4  epoch            from 1
  ///         20     1  operation        0 none, 1 migrate, 2 migrate again, 3 cancel
  ///         21     1  rmp_page_size    0 4 KiB, 1 2 MiB
  ///         22     1  validated        1; 0 in a cancel
  ///         23     1  reserved         zero
  ///         24     4  vmpl_permissions one byte each for VMPL0 to VMPL3
  ///         28     4  length           bytes of plaintext: 4096; 0 in a cancel
  ///         32    16  tag              AES-256-GCM tag
  ///         48  4096  content          ciphertext; zero in a cancel
  package static let recordLayout = RecordLayout(
    "page-record",
    [
      "sequence": 8, "gpa": 8, "epoch": 4, "operation": 1, "rmp_page_size": 1, "validated": 1,
      "reserved": 1, "vmpl_permissions": 4, "length": 4, "tag": 16, "content": 4096,
    ])

  /// Bytes of the metadata: what is authenticated as associated data.
  package static let encodedSize = 32
  /// Where ciphertext begins in a record.
  package static let contentOffset = 48
  /// Bytes of a whole record.
  package static let recordSize = contentOffset + pageSize
  /// Bytes of a page.
  package static let pageSize = 4096

  package var sequence: UInt64
  package var gpa: UInt64
  package var epoch: UInt32
  package var operation: Operation
  package var size: RMPPageSize
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

  /// Bytes of plaintext under the tag.
  package var length: Int { operation == .cancel ? 0 : Self.pageSize }

  /// Decodes the first 32 bytes of a record that is not the no-operation record, field by field in the
  /// order of the layout.
  /// - Parameter refuse: takes what breaks a rule and leaves the fields readable.
  /// - Throws: `PAGE-ADDRESS`, `PAGE-OPERATION`, `PAGE-SIZE`, `SECTION-RESERVED`,
  ///   `PAGE-PERMISSIONS`, each with the offset of its field.
  package init(
    from cursor: inout ByteCursor, refuse: MigrationError.Refusal = MigrationError.refuse
  ) throws(MigrationError) {
    let start = cursor.offset
    sequence = try cursor.read()
    gpa = try cursor.read()
    epoch = try cursor.read()
    let code = try cursor.read(UInt8.self)
    let sizeCode = try cursor.read(UInt8.self)
    let validated = try cursor.read(UInt8.self)
    let reserved = try cursor.read(UInt8.self)
    permissions = VMPLPermissions(rawValue: try cursor.read())
    let length = try cursor.read(UInt32.self)
    if !Self.isAddress(gpa) {
      try refuse(
        MigrationError(
          .pageAddress, "guest-physical address is unaligned or beyond 52 bits", at: start + 8,
          expected: "a multiple of 0x1000 below 2^52", got: "0x\(String(gpa, radix: 16))"))
    }
    guard let operation = Operation(rawValue: code) else {
      throw MigrationError(
        .pageOperation, "unknown page operation", at: start + 20, expected: "1, 2 or 3",
        got: "\(code)")
    }
    guard let size = RMPPageSize(rawValue: sizeCode) else {
      throw MigrationError(
        .pageSize, "unknown RMP page size", at: start + 21, expected: "0 or 1", got: "\(sizeCode)")
    }
    self.operation = operation
    self.size = size
    if validated != (operation == .cancel ? 0 : 1) {
      try refuse(
        MigrationError(
          .pageOperation, "a page that was never validated is not sent", at: start + 22,
          expected: operation == .cancel ? "0" : "1", got: "\(validated)"))
    }
    if reserved != 0 {
      try refuse(
        MigrationError(
          .sectionReserved, "reserved byte is not zero", at: start + 23, expected: "0",
          got: "\(reserved)"))
    }
    if !permissions.isValid || operation == .cancel && permissions != .none {
      try refuse(
        MigrationError(
          .pagePermissions, "impossible VMPL permissions", at: start + 24,
          expected: operation == .cancel ? "0x0" : "bits of 0x1f1f1f1f",
          got: "0x\(String(permissions.rawValue, radix: 16))"))
    }
    if Int(length) != self.length {
      try refuse(
        MigrationError(
          .pageSize, "wrong length of plaintext", at: start + 28, expected: "\(self.length)",
          got: "\(length)"))
    }
  }

  /// Whether a record's metadata say that it is a cancel. Precondition: it has 32 bytes.
  static func isCancel(_ record: Span<UInt8>) -> Bool {
    record[20] == Operation.cancel.rawValue
  }

  /// The first byte of a cancel's content that is not zero; its tag does not cover them. Precondition: the
  /// record is whole.
  package static func strayByte(inCancel record: Span<UInt8>) -> Int? {
    (contentOffset..<recordSize).first { record[$0] != 0 }
  }

  /// Writes the 32 bytes of metadata at `offset` of `record`, in place.
  package func encode(to record: inout MutableSpan<UInt8>, at offset: Int) {
    record.put(bigEndian: sequence, at: offset)
    record.put(bigEndian: gpa, at: offset + 8)
    record.put(bigEndian: epoch, at: offset + 16)
    record[offset + 20] = operation.rawValue
    record[offset + 21] = size.rawValue
    record[offset + 22] = operation == .cancel ? 0 : 1
    record[offset + 23] = 0
    record.put(bigEndian: permissions.rawValue, at: offset + 24)
    record.put(bigEndian: UInt32(length), at: offset + 28)
  }
}
