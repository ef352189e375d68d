public import Errors

/// A field of a record by name: what the tables of `Formats/` show, and what recipes find places by.
package struct RecordField: Sendable, Equatable {
  /// As the documents spell it.
  package var name: String
  /// The bytes of the field, from the start of the record.
  package var range: Range<Int>
}

extension WireRecord {
  /// The fields in the order of the record. The fields of a record within this one stand in its place.
  package static var fields: [RecordField] {
    var fields: [RecordField] = []
    for child in Mirror(reflecting: Self()).children {
      guard let property = child.label, let field = child.value as? any WireField else {
        preconditionFailure("A record has stored properties of field types only.")
      }
      let start = fields.last?.range.upperBound ?? 0
      if let part = field as? any WireRecord {
        fields += type(of: part).fields.map {
          RecordField(
            name: $0.name, range: start + $0.range.lowerBound..<start + $0.range.upperBound)
        }
      } else {
        fields.append(
          RecordField(name: fieldName(of: property), range: start..<start + type(of: field).size))
      }
    }
    return fields
  }

  /// The bytes of the field of this name, from the start of the record; nil when there is none.
  package static func range(of name: String) -> Range<Int>? {
    fields.first { $0.name == name }?.range
  }

  /// Where in the record the first byte lies that is not zero, of fields that must be: the reserved ones.
  package func firstNonZero(in fields: [PartialKeyPath<Self>]) -> Int? {
    for path in fields {
      guard let offset = MemoryLayout<Self>.offset(of: path),
        let field = self[keyPath: path] as? any WireField
      else { preconditionFailure("A field of a record is a stored property.") }
      if let place = field.bytes.firstIndex(where: { $0 != 0 }) { return offset + place }
    }
    return nil
  }

  /// Refuses a reserved field that is not zero: the first of them.
  /// - Parameters:
  ///   - fields: the reserved ones.
  ///   - start: where the record begins in the stream.
  ///   - refuse: takes what is wrong.
  /// - Throws: `SECTION-RESERVED`.
  package func requireZero(
    _ fields: [PartialKeyPath<Self>], at start: UInt64, refuse: MigrationError.Refusal
  ) throws(MigrationError) {
    for path in fields {
      guard let field = self[keyPath: path] as? any WireField, !field.isZero else { continue }
      guard let offset = MemoryLayout<Self>.offset(of: path) else {
        preconditionFailure("A field of a record is a stored property.")
      }
      return try refuse(
        MigrationError(
          .sectionReserved, "reserved bytes are not zero", at: start &+ UInt64(offset),
          expected: "0",
          got: field.bytes.count > 8
            ? "other bytes" : "\(field.bytes.reduce(UInt64(0)) { $0 << 8 | UInt64($1) })"))
    }
  }
}

extension ByteCursor {
  /// The refusal of bytes that end inside of a record: in the field that is not whole.
  @usableFromInline func truncated(in record: any WireRecord.Type) -> MigrationError {
    guard let range = record.fields.map(\.range).first(where: { $0.upperBound > remaining }) else {
      preconditionFailure("The record is whole.")
    }
    return MigrationError(
      .streamTruncated, "data ends early", at: offset &+ UInt64(range.lowerBound),
      expected: "\(range.count) bytes", got: "\(remaining - range.lowerBound)")
  }
}
