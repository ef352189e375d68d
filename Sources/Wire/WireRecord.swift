public import Errors

/// The fixed part of a record as it lies in a file or in memory. The struct is the declaration of
/// its layout.
///
/// A conforming struct has one stored property for each field, in the order of the record; reserved
/// bytes are fields, too. Every type of `WireField` has an alignment of one byte, so that a
/// property has the same offset as the field and the compiler knows it. The reader and the writer
/// of the record, the offset in a refusal, the places that a recipe names and the comparison with
/// the tables of `Formats/` all come from the struct:
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

  /// The name in the documents of the field that a property holds.
  static func fieldName(of property: String) -> String
}

extension WireRecord {
  /// The default for a record that is only a part of others and has no table of its own.
  package static var name: String { "\(Self.self)" }

  /// Bytes from the start of the record to `field`.
  @inlinable @inline(__always)
  package static func offset<Field: WireField>(of field: KeyPath<Self, Field>) -> Int {
    guard let offset = MemoryLayout<Self>.offset(of: field) else {
      preconditionFailure("A field of a record is a stored property.")
    }
    return offset
  }

  /// Offset of `field` in a stream or file that has the record at `start`, as refusals give it.
  @inlinable @inline(__always)
  package static func offset<Field: WireField>(
    of field: KeyPath<Self, Field>, from start: UInt64
  ) -> UInt64 {
    start &+ UInt64(offset(of: field))
  }

  /// Range of the bytes of `field`, relative to the start of the record.
  @inlinable @inline(__always)
  package static func range<Field: WireField>(of field: KeyPath<Self, Field>) -> Range<Int> {
    let start = offset(of: field)
    return start..<start + MemoryLayout<Field>.size
  }

  /// Makes a record of zeros.
  @inlinable package init() {
    // A record consists only of bytes, and every sequence of bytes is a valid record.
    self = unsafe withUnsafeTemporaryAllocation(
      byteCount: MemoryLayout<Self>.size, alignment: 1
    ) { bytes in
      unsafe bytes.initializeMemory(as: UInt8.self, repeating: 0)
      return unsafe bytes.loadUnaligned(as: Self.self)
    }
  }

  /// The bytes before `field`, which is what a tag or signature at the end of a record covers.
  package func bytes<Field: WireField>(before field: KeyPath<Self, Field>) -> [UInt8] {
    Array(bytes.prefix(Self.offset(of: field)))
  }
}

extension WireRecord {
  /// Reads the record at `offset` of `bytes`. Precondition: all of it lies in `bytes`.
  @inlinable package init(at offset: Int, of bytes: Span<UInt8>) {
    precondition(offset >= 0 && offset <= bytes.count - MemoryLayout<Self>.size)
    // A record consists only of bytes, and every sequence of bytes is a valid record.
    self = unsafe bytes.bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: Self.self)
  }
}

extension ByteCursor {
  /// Reads the fixed part of a record.
  /// - Throws: `STREAM-TRUNCATED` when fewer bytes are left, at the first field that is incomplete.
  @inlinable package mutating func read<Record: WireRecord>(
    _: Record.Type = Record.self
  ) throws(MigrationError) -> Record {
    guard remaining >= MemoryLayout<Record>.size else { throw truncated(in: Record.self) }
    return Record(at: 0, of: try take(MemoryLayout<Record>.size))
  }
}

extension Array where Element == UInt8 {
  /// Appends the bytes of `record`.
  @inlinable package mutating func append<Record: WireRecord>(_ record: Record) {
    unsafe Swift.withUnsafeBytes(of: record) { unsafe append(contentsOf: $0) }
  }
}

extension Array where Element == UInt8 {
  /// Writes `record` at `offset`. Precondition: there is room for all of it.
  @inlinable package mutating func put<Record: WireRecord>(_ record: Record, at offset: Int) {
    var span = mutableSpan
    span.put(record, at: offset)
  }

  /// A field of the record that begins at `start`. Precondition: all bytes of the field are there.
  @inlinable
  package subscript<Record: WireRecord, Field: WireField>(
    _ field: KeyPath<Record, Field>, at start: Int = 0
  ) -> Field {
    get {
      // The call checks that the bytes are there; every sequence of bytes is a valid field.
      unsafe span.bytes.unsafeLoadUnaligned(
        fromByteOffset: start + Record.offset(of: field), as: Field.self)
    }
    set {
      let offset = start + Record.offset(of: field)
      precondition(offset >= 0 && offset <= count - MemoryLayout<Field>.size)
      unsafe withUnsafeMutableBytes { bytes in
        unsafe bytes.storeBytes(of: newValue, toByteOffset: offset, as: Field.self)
      }
    }
  }
}

extension MutableSpan<UInt8> {
  /// Writes `record` at `offset`. Precondition: there is room for all of it.
  @inlinable package mutating func put<Record: WireRecord>(_ record: Record, at offset: Int) {
    precondition(offset >= 0 && offset <= count - MemoryLayout<Record>.size)
    unsafe withUnsafeMutableBytes { bytes in
      unsafe bytes.storeBytes(of: record, toByteOffset: offset, as: Record.self)
    }
  }
}

/// A record that is a single field of the record around it: in `fields` it is not replaced by its
/// own fields.
@usableFromInline
package struct WirePart<Record: WireRecord>: WireField {
  /// The inner record.
  package var record: Record

  package init(_ record: Record) { self.record = record }
}
