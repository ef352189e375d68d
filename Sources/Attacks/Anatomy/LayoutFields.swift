internal import Errors
internal import Wire

// Places and numbers in records: always by the layout that declares them, never by a number typed here.

extension RecordLayout {
  /// Where the field that a recipe calls `name` lies in the record; nil when there is none.
  func range(of name: String) -> Range<Int>? {
    guard let field = fields.first(where: { $0.name == name }) else { return nil }
    return field.offset..<field.offset + field.size
  }

  /// Where a field that the code itself names lies in the record: one that is not there is a fault of
  /// the code, and ends the program at once.
  subscript(name: StaticString) -> Range<Int> {
    guard let range = range(of: "\(name)") else {
      preconditionFailure("layout \(self.name) has no field \(name)")
    }
    return range
  }
}

extension Range<Int> {
  /// The same bytes of a record that begins at `start`.
  func moved(by start: UInt64) -> Range<UInt64> {
    start + UInt64(lowerBound)..<start + UInt64(upperBound)
  }

  /// The same bytes of a record that begins at `start`.
  func moved(by start: Int) -> Range<Int> { start + lowerBound..<start + upperBound }
}

extension UInt64 {
  /// The big-endian number in `bytes`, of which there are at most 8.
  init(bigEndianBytes bytes: some Sequence<UInt8>) {
    self = bytes.reduce(0) { $0 << 8 | UInt64($1) }
  }
}

extension ByteStore {
  /// The big-endian number in a field of the record that begins at `start`.
  /// - Throws: `IO-READ`.
  func number(in field: Range<Int>, from start: UInt64) throws(MigrationError) -> UInt64 {
    UInt64(bigEndianBytes: try read(field.moved(by: start)))
  }
}
