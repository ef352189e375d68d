public import Errors

/// A field of a record by name, as in the tables of `Formats/` and in the places of recipes.
package struct RecordField: Sendable, Equatable {
  /// The name as the documents spell it.
  package var name: String
  /// Range of the field's bytes, relative to the start of the record.
  package var range: Range<Int>
}

extension WireRecord {
  /// The fields in the order of the record. A record within this one is replaced by its fields.
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

  /// Range of the bytes of the field with this name, relative to the start of the record; nil when
  /// there is no such field.
  package static func range(of name: String) -> Range<Int>? {
    fields.first { $0.name == name }?.range
  }

  /// Offset in the record of the first byte that is not zero in `fields`, which are the reserved
  /// ones.
  package func firstNonZero(in fields: [PartialKeyPath<Self>]) -> Int? {
    for path in fields {
      guard let offset = MemoryLayout<Self>.offset(of: path),
        let field = self[keyPath: path] as? any WireField
      else { preconditionFailure("A field of a record is a stored property.") }
      if let place = field.bytes.firstIndex(where: { $0 != 0 }) { return offset + place }
    }
    return nil
  }

  /// Refuses the first reserved field that is not zero.
  /// - Parameters:
  ///   - fields: the reserved fields.
  ///   - start: offset of the record in the stream.
  ///   - refuse: called with the error.
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
  /// The error when bytes end inside a record, at the first field that is incomplete.
  @usableFromInline func truncated(in record: any WireRecord.Type) -> MigrationError {
    guard let range = record.fields.map(\.range).first(where: { $0.upperBound > remaining }) else {
      preconditionFailure("The record is whole.")
    }
    return MigrationError(
      .streamTruncated, "data ends early", at: offset &+ UInt64(range.lowerBound),
      expected: "\(range.count) bytes", got: "\(remaining - range.lowerBound)")
  }
}
