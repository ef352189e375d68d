package import Errors

/// Writes a JSON object member by member in the form of `JSON.pretty`, so that an array in it need
/// not be in memory as a whole.
package struct JSONStream: ~Copyable {
  /// Receives the text in pieces, each of about 64 KiB or one value.
  package typealias Write = (String) throws(MigrationError) -> Void

  /// Number of bytes of text that are collected before they are written.
  private static let pieceSize = 64 << 10

  private var text: [UInt8] = [UInt8(ascii: "{")]
  private var hasMembers = false
  private let write: Write

  package init(_ write: @escaping Write) { self.write = write }

  /// Writes one member.
  /// - Throws: what writing throws.
  package mutating func append(_ member: JSON.Member) throws(MigrationError) {
    begin(member.key)
    member.value.write(to: &text, indent: 2)
    try flush(over: Self.pieceSize)
  }

  /// Writes a member with the key `key` whose value is an array.
  /// - Parameter next: returns the elements one by one, and nil after the last.
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

  /// Ends the object, and writes a line feed.
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
