/// The layout of one fixed part of a record: names, offsets and sizes of its fields, in wire order.
///
/// Declared beside the type that reads and writes it. The same table stands in `Formats/` under
/// the marker `<!-- layout: NAME -->`; a test compares both, field by field.
package struct RecordLayout: Sendable, Equatable {
  package struct Field: Sendable, Equatable {
    package var name: String
    /// Bytes from the start of the record.
    package var offset: Int
    /// Bytes.
    package var size: Int
  }

  /// The marker's name in `Formats/`.
  package let name: String
  package let fields: [Field]

  /// - Parameter fields: name and size in bytes of each field; fields follow each other without
  ///   gaps, reserved bytes are fields too.
  package init(_ name: String, _ fields: KeyValuePairs<String, Int>) {
    self.name = name
    var offset = 0
    self.fields = fields.map { field in
      defer { offset += field.value }
      return Field(name: field.key, offset: offset, size: field.value)
    }
  }

  /// Bytes of the whole fixed part.
  package var size: Int { fields.last.map { $0.offset + $0.size } ?? 0 }
}
