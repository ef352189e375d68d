public import Errors

/// The fixed part of a record as it lies in a file or in memory: the declaration of its layout.
///
/// A conforming struct has one stored property for each field, in the order of the record, and reserved bytes are
/// fields too. Every type of `WireField` has an alignment of one byte, so that a property lies where the
/// field does and the compiler knows its offset. What reads the record, what writes it, the place of a refusal, the
/// places that a recipe names and the comparison with the tables of `Formats/` all come from the struct:
///
///     let record = try cursor.read(EpochToken.Layout.self)    reads
///     record.epoch.value                                      the value of a field
///     EpochToken.Layout.offset(of: \.flags)                   the place of a refusal
///     bytes.append(record)                                    writes
///     EpochToken.Layout.range(of: "first_sequence")           the place that a recipe names
@usableFromInline
package protocol WireRecord: WireField {
  /// The name of the record's table in `Formats/`: `<!-- layout: NAME -->`.
  static var name: String { get }

  /// How the documents spell the field that a property holds.
  static func fieldName(of property: String) -> String
}

extension WireRecord {
  /// In our own formats: `firstSequence` is `first_sequence`, and `reserved2` is `reserved_2`.
  package static func fieldName(of property: String) -> String {
    var name = ""
    for character in property {
      if character.isUppercase || character.isNumber, !name.isEmpty { name += "_" }
      name += character.lowercased()
    }
    return name
  }

  /// Bytes of the fixed part.
  @inlinable package static var size: Int { MemoryLayout<Self>.size }

  /// Bytes from the start of the record to `field`.
  @inlinable @inline(__always)
  package static func offset<Field: WireField>(of field: KeyPath<Self, Field>) -> Int {
    guard let offset = MemoryLayout<Self>.offset(of: field) else {
      preconditionFailure("A field of a record is a stored property.")
    }
    return offset
  }

  /// The bytes of `field`, from the start of the record.
  @inlinable @inline(__always)
  package static func range<Field: WireField>(of field: KeyPath<Self, Field>) -> Range<Int> {
    let start = offset(of: field)
    return start..<start + MemoryLayout<Field>.size
  }

  /// The record with every byte zero.
  @inlinable package init() {
    // A record is made of bytes alone, and any bytes are one.
    self = unsafe withUnsafeTemporaryAllocation(
      byteCount: MemoryLayout<Self>.size, alignment: 1
    ) { bytes in
      unsafe bytes.initializeMemory(as: UInt8.self, repeating: 0)
      return unsafe bytes.loadUnaligned(as: Self.self)
    }
  }

  /// The bytes of the record.
  package var bytes: [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(self)
    return bytes
  }
}

extension ByteCursor {
  /// Reads the fixed part of a record.
  /// - Throws: `STREAM-TRUNCATED` when fewer bytes are left.
  @inlinable package mutating func read<Record: WireRecord>(
    _: Record.Type = Record.self
  ) throws(MigrationError) -> Record {
    let bytes = try take(MemoryLayout<Record>.size)
    // A record is made of bytes alone, and any bytes are one.
    return unsafe bytes.bytes.unsafeLoadUnaligned(as: Record.self)
  }
}

extension Array where Element == UInt8 {
  /// Appends the bytes of `record`.
  @inlinable package mutating func append<Record: WireRecord>(_ record: Record) {
    unsafe Swift.withUnsafeBytes(of: record) { unsafe append(contentsOf: $0) }
  }
}

extension MutableSpan<UInt8> {
  /// Writes `record` at `offset`. Precondition: its bytes are there.
  @inlinable package mutating func put<Record: WireRecord>(_ record: Record, at offset: Int) {
    precondition(offset >= 0 && offset <= count - MemoryLayout<Record>.size)
    unsafe withUnsafeMutableBytes { bytes in
      unsafe bytes.storeBytes(of: record, toByteOffset: offset, as: Record.self)
    }
  }
}
