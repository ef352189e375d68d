package import Errors

/// A JSON object that is written member by member, as `JSON.pretty` writes it: an array in it need not be
/// held whole.
package struct JSONStream: ~Copyable {
  /// Takes text, some ten KiB at a time or one value.
  package typealias Write = (String) throws(MigrationError) -> Void

  /// Bytes of text that are collected before they are written.
  private static let pieceSize = 64 << 10

  private var text: [UInt8] = [UInt8(ascii: "{")]
  private var hasMembers = false
  private let write: Write

  package init(_ write: @escaping Write) { self.write = write }

  /// - Throws: what writing throws.
  package mutating func append(_ member: JSON.Member) throws(MigrationError) {
    begin(member.key)
    member.value.write(to: &text, indent: 2)
    try flush(over: Self.pieceSize)
  }

  /// - Parameter next: gives the elements one by one; nil after the last.
  /// - Throws: what `next` and writing throw.
  package mutating func append(
    _ key: String, next: () throws(MigrationError) -> JSON?
  ) throws(MigrationError) {
    begin(key)
    text.append(UInt8(ascii: "["))
    var isEmpty = true
    while let element = try next() {
      text += Array((isEmpty ? "\n    " : ",\n    ").utf8)
      isEmpty = false
      element.write(to: &text, indent: 4)
      try flush(over: Self.pieceSize)
    }
    text += Array((isEmpty ? "]" : "\n  ]").utf8)
  }

  /// Ends the object, and the line.
  /// - Throws: what writing throws.
  package mutating func end() throws(MigrationError) {
    text += Array((hasMembers ? "\n}\n" : "}\n").utf8)
    try flush(over: 0)
  }

  private mutating func begin(_ key: String) {
    text += Array((hasMembers ? ",\n  " : "\n  ").utf8)
    hasMembers = true
    JSON.write(key, to: &text)
    text += Array(": ".utf8)
  }

  private mutating func flush(over size: Int) throws(MigrationError) {
    guard text.count > size else { return }
    try write(String(decoding: text, as: UTF8.self))
    text.removeAll(keepingCapacity: text.count <= 2 * Self.pieceSize)
  }
}
