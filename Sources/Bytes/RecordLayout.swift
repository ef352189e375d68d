/// The layout of one fixed part of a record: names, offsets and sizes of its fields, in wire order.
///
/// Declared beside the type that reads and writes it. The same table stands in `Formats/` under
/// the marker `<!-- layout: NAME -->`; a test compares both, field by field.
public struct RecordLayout: Sendable, Equatable {
  public struct Field: Sendable, Equatable {
    public var name: String
    /// Bytes from the start of the record.
    public var offset: Int
    /// Bytes.
    public var size: Int
  }

  /// The marker's name in `Formats/`.
  public let name: String
  public let fields: [Field]

  /// - Parameter fields: name and size in bytes of each field; fields follow each other without
  ///   gaps, reserved bytes are fields too.
  public init(_ name: String, _ fields: KeyValuePairs<String, Int>) {
    self.name = name
    var offset = 0
    self.fields = fields.map { field in
      defer { offset += field.value }
      return Field(name: field.key, offset: offset, size: field.value)
    }
  }

  /// Bytes of the whole fixed part.
  public var size: Int { fields.last.map { $0.offset + $0.size } ?? 0 }
}
