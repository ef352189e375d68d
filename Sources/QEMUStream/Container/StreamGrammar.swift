package import Errors
package import Wire

/// The file header and the record headers of a QEMU stream, version 3.
///
/// The functions below expect that the record's type byte has been consumed, unless they say
/// otherwise. Each consumes the bytes that it reads. All throw `STREAM-TRUNCATED` when the stream
/// ends.
package enum StreamGrammar {
  /// `QEVM`.
  package static let magic: UInt32 = 0x5145_564D
  /// The only version in use since 2009.
  package static let version: UInt32 = 3

  /// The file header.
  package struct Header: WireRecord {
    package static let name = "qemu-header"

    /// "QEVM".
    package var magic: BE32
    /// 3.
    package var version: BE32
  }

  /// The record after each section's body.
  package struct Footer: WireRecord {
    package static let name = "qemu-footer"

    /// 7e.
    package var type: U8
    /// Id of the section that ends.
    package var id: BE32

    package init(id: UInt32) {
      (type, self.id) = (U8(RecordType.footer.rawValue), BE32(id))
    }
  }

  /// The bytes before the body of a section's part or end. A start or full section begins with the
  /// same fields.
  package struct PartHeader: WireRecord {
    /// 02 or 03.
    package var type: U8
    /// Id of the section.
    package var id: BE32

    package init(_ kind: SectionHeader.Kind, id: UInt32) {
      (type, self.id) = (U8(kind.rawValue), BE32(id))
    }
  }

  /// The bytes before the text of a VM description, or before the name of a machine in a
  /// configuration.
  package struct TextHeader: WireRecord {
    /// 06 or 07.
    package var type: U8
    /// Size of the text in bytes.
    package var length: BE32

    package init(_ type: RecordType, length: Int) {
      (self.type, self.length) = (U8(type.rawValue), BE32(UInt32(truncatingIfNeeded: length)))
    }
  }
}

extension StreamInput {
  /// Reads the file header: `QEVM`, then version 3, both big-endian.
  /// - Throws: `STREAM-EMPTY`, `STREAM-MAGIC`, `STREAM-VERSION`.
  package func readFileHeader() throws(MigrationError) {
    let start = offset
    guard try available(atLeast: 1) > 0 else {
      throw MigrationError(.streamEmpty, "nothing to read", at: start)
    }
    let magic = try read(UInt32.self)
    guard magic == StreamGrammar.magic else {
      throw MigrationError(
        .streamMagic, "not a QEMU migration stream", at: start, expected: "5145564d (QEVM)",
        got: Hex.encode(BE32(magic).bytes))
    }
    let version = try read(UInt32.self)
    guard version == StreamGrammar.version else {
      throw MigrationError(
        .streamVersion, "stream version is not read",
        at: StreamGrammar.Header.offset(of: \.version, from: start),
        expected: "\(StreamGrammar.version)", got: "\(version)")
    }
  }

  /// Reads the type byte of the next record.
  /// - Throws: `SECTION-TYPE` for a byte that is not a record type.
  package func readRecordType() throws(MigrationError) -> RecordType {
    let start = offset
    let byte = try read(UInt8.self)
    guard let type = RecordType(rawValue: byte) else {
      throw MigrationError(
        .sectionType, "unknown record type", at: start, got: Hex.number(byte))
    }
    return type
  }

  /// Reads a length byte and a name.
  /// - Throws: `SECTION-NAME` for length 0.
  package func readName() throws(MigrationError) -> SectionName {
    let start = offset
    let count = Int(try read(UInt8.self))
    guard let name = SectionName(try readArray(count)) else {
      throw MigrationError(.sectionName, "name is empty", at: start, expected: "1 to 255 bytes")
    }
    return name
  }

  /// Reads the rest of a section header and enters it in `table`.
  /// - Throws: `SECTION-NAME`; the errors of `SectionTable`.
  package func readSectionHeader(
    _ kind: SectionHeader.Kind, in table: inout SectionTable
  ) throws(MigrationError) -> SectionHeader {
    let start = offset &- 1
    let id = try read(UInt32.self)
    if kind == .part || kind == .end { return try table.continue(kind, id: id, at: start) }
    let name = try readName()
    var header = SectionHeader(
      kind, id: id, name: name, instance: try read(), version: try read(), offset: start)
    try table.open(&header)
    return header
  }

  /// Reads a whole footer, type byte included.
  /// - Throws: `SECTION-FOOTER` for bytes that are not a footer, or for the id of another section.
  package func readFooter(expecting id: UInt32) throws(MigrationError) {
    let start = offset
    let type = try read(UInt8.self)
    guard type == RecordType.footer.rawValue else {
      throw MigrationError(
        .sectionFooter, "section does not end with its footer", at: start, expected: "0x7e",
        got: Hex.number(type))
    }
    let closed = try read(UInt32.self)
    guard closed == id else {
      throw MigrationError(
        .sectionFooter, "footer is another section's",
        at: StreamGrammar.Footer.offset(of: \.id, from: start), expected: "id \(id)",
        got: "id \(closed)")
    }
  }

  /// Reads the length of a VM description and makes its text contiguous at the front of the window.
  /// The text is not consumed.
  /// - Returns: size of the text in bytes.
  /// - Throws: `VMDESC-SYNTAX` when the text is longer than `limit`.
  package func requireVMDescription(
    limit: Int = VMDescription.sizeLimit
  ) throws(MigrationError) -> Int {
    let start = offset
    let length = try read(UInt32.self)
    guard let count = Int(exactly: length), count <= limit else {
      throw MigrationError(
        .vmdescriptionSyntax, "VM description is too long", at: start,
        expected: "at most \(limit) bytes", got: "\(length)")
    }
    try require(count)
    return count
  }
}
