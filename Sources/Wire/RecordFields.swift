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
        fields += Self.fields(of: part, from: start)
      } else {
        fields.append(
          RecordField(name: fieldName(of: property), range: start..<start + size(of: field)))
      }
    }
    return fields
  }

  /// The bytes of the field of this name, from the start of the record; nil when there is none.
  package static func range(of name: String) -> Range<Int>? {
    fields.first { $0.name == name }?.range
  }

  private static func fields<Part: WireRecord>(of _: Part, from start: Int) -> [RecordField] {
    Part.fields.map { field in
      let range = start + field.range.lowerBound..<start + field.range.upperBound
      return RecordField(name: field.name, range: range)
    }
  }

  private static func size<Field: WireField>(of _: Field) -> Int { MemoryLayout<Field>.size }
}
