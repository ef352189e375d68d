package import Errors

extension JSON {
  /// Largest number of values in one text, nested ones included: a value and its key may take a hundred
  /// bytes more than their text. What QEMU writes of all its devices has 25,000.
  package static let valueLimit = 1 << 18
  /// Largest nesting depth of arrays and objects.
  package static let depthLimit = 64

  /// Parses one JSON text, which may have white space around it.
  /// - Parameters:
  ///   - bytes: UTF-8.
  ///   - base: offset in the stream or file of the first byte, for errors.
  ///   - depthLimit, valueLimit: other limits, for a text from a trusted source.
  /// - Throws: `JSON-SYNTAX` at the first byte that is not JSON, not UTF-8, nested too deep, or
  ///   part of a value beyond `valueLimit`.
  package init(
    parsing bytes: [UInt8], at base: UInt64 = 0, depthLimit: Int = JSON.depthLimit,
    valueLimit: Int = JSON.valueLimit
  ) throws(MigrationError) {
    var reader = JSONReader(
      bytes.span, at: base, depthLimit: depthLimit, valueLimit: valueLimit)
    self = try reader.value()
    try reader.end()
  }

  /// Parses one JSON text.
  /// - Throws: `JSON-SYNTAX`.
  package init(parsing text: String) throws(MigrationError) {
    try self.init(parsing: Array(text.utf8))
  }
}
