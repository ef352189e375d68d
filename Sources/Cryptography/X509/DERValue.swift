package import Errors
internal import Wire

/// One DER value (X.690): a tag, and its content.
///
/// For the small parts that libcrypto returns without decoding: extension values, names, algorithm
/// parameters. Only definite and minimal lengths, and only tags below 31, are accepted.
package struct DERValue: Equatable, Sendable {
  /// Class, constructed bit and number as encoded: 0x02 INTEGER, 0x30 SEQUENCE, 0xA0 [0].
  package var tag: UInt8
  /// The content octets, without tag and length.
  package var content: [UInt8]

  /// Reads the one value of which `bytes` consists.
  /// - Throws: `CERT-SYNTAX`.
  package init(_ bytes: [UInt8]) throws(MigrationError) {
    let values = try Self.list(bytes)
    guard values.count == 1 else { throw Self.malformed("not one value") }
    self = values[0]
  }

  init(tag: UInt8, content: [UInt8]) {
    self.tag = tag
    self.content = content
  }

  /// Reads the values of which `bytes` consists, one after the other.
  /// - Throws: `CERT-SYNTAX`.
  package static func list(_ bytes: [UInt8]) throws(MigrationError) -> [DERValue] {
    var values: [DERValue] = []
    let span = bytes.span
    var cursor = ByteCursor(span)
    while cursor.remaining > 0 {
      do throws(MigrationError) {
        let tag: UInt8 = try cursor.read()
        guard tag & 0x1F != 0x1F else { throw malformed("long tag") }
        let count = try length(&cursor)
        values.append(DERValue(tag: tag, content: try cursor.takeArray(count)))
      } catch {
        throw error.code == .streamTruncated ? malformed("value ends early") : error
      }
    }
    return values
  }

  static func length(_ cursor: inout ByteCursor) throws(MigrationError) -> Int {
    let first: UInt8 = try cursor.read()
    if first < 0x80 { return Int(first) }
    switch first {
    case 0x81:
      let value: UInt8 = try cursor.read()
      if value >= 0x80 { return Int(value) }
    case 0x82:
      let value: UInt16 = try cursor.read()
      if value >= 0x100 { return Int(value) }
    case 0x83:
      let (high, low): (UInt8, UInt16) = (try cursor.read(), try cursor.read())
      if high > 0 { return Int(high) << 16 | Int(low) }
    default: break
    }
    throw malformed("length is not minimal or too large")
  }

  static func malformed(_ why: String) -> MigrationError {
    MigrationError(.certificateSyntax, "certificate is not well-formed: \(why)")
  }

  /// The values inside a constructed one of `tag`.
  /// - Throws: `CERT-SYNTAX`.
  package func children(tag expected: UInt8 = 0x30) throws(MigrationError) -> [DERValue] {
    guard tag == expected else { throw Self.malformed("other tag than expected") }
    return try Self.list(content)
  }

  /// A non-negative INTEGER as its big-endian bytes without leading zeros; zero is empty. nil
  /// when this is another value, negative, or not minimal.
  package var unsignedInteger: [UInt8]? {
    guard tag == 0x02, let first = content.first, first < 0x80 else { return nil }
    if first == 0, content.count > 1, content[1] < 0x80 { return nil }
    return Array(content.drop { $0 == 0 })
  }

  /// A non-negative INTEGER below 2^31.
  package var smallInteger: Int? {
    guard let bytes = unsignedInteger, bytes.count <= 4 else { return nil }
    let value = UInt64(bigEndianBytes: bytes)
    return value < 1 << 31 ? Int(value) : nil
  }

  /// An OBJECT IDENTIFIER in dotted form; nil when this is another value or does not decode.
  package var objectIdentifier: String? {
    guard tag == 0x06, let last = content.last, last < 0x80 else { return nil }
    var arcs: [UInt64] = []
    var arc: UInt64 = 0
    for byte in content {
      // No identifier that is used here has an arc of more than 56 bits.
      guard arc < 1 << 49, !(arc == 0 && byte == 0x80) else { return nil }
      arc = arc << 7 | UInt64(byte & 0x7F)
      if byte < 0x80 {
        arcs.append(arc)
        arc = 0
      }
    }
    let top = min(arcs[0] / 40, 2)
    return ([top, arcs[0] - top * 40] + arcs.dropFirst()).map { "\($0)" }.joined(separator: ".")
  }
}
