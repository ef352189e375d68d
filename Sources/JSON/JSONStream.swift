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
  /// Bytes that members of the object being written are indented by.
  private var indent = 2
  private let write: Write

  package init(_ write: @escaping Write) { self.write = write }

  /// Writes one member.
  /// - Throws: what writing throws.
  package mutating func append(_ member: JSON.Member) throws(MigrationError) {
    begin(member.key)
    member.value.write(to: &text, indent: indent)
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
      beginLine(isFirst: isEmpty, indent: indent + 2)
      isEmpty = false
      element.write(to: &text, indent: indent + 2)
      try flush(over: Self.pieceSize)
    }
    if !isEmpty { beginLine(isFirst: true, indent: indent) }
    text.append(UInt8(ascii: "]"))
  }

  /// Writes a member with the key `key` whose value is an array of what `json` makes of `elements`.
  /// - Throws: what writing throws.
  package mutating func append<Element>(
    _ key: String, of elements: some Sequence<Element>, _ json: (Element) -> JSON
  ) throws(MigrationError) {
    var rest = elements.makeIterator()
    try append(key) { rest.next().map(json) }
  }

  /// Writes a member with the key `key` whose value is an object, as `body` writes its members.
  /// - Throws: what `body` and writing throw.
  package mutating func append(
    _ key: String, object body: (inout JSONStream) throws(MigrationError) -> Void
  ) throws(MigrationError) {
    begin(key)
    text.append(UInt8(ascii: "{"))
    hasMembers = false
    indent += 2
    try body(&self)
    indent -= 2
    if hasMembers { beginLine(isFirst: true, indent: indent) }
    text.append(UInt8(ascii: "}"))
    hasMembers = true
    try flush(over: Self.pieceSize)
  }

  /// Ends the object, and writes a line feed.
  /// - Throws: what writing throws.
  package mutating func end() throws(MigrationError) {
    text += Array((hasMembers ? "\n}\n" : "}\n").utf8)
    try flush(over: 0)
  }

  private mutating func begin(_ key: String) {
    beginLine(isFirst: !hasMembers, indent: indent)
    hasMembers = true
    JSON.write(key, to: &text)
    text += Array(": ".utf8)
  }

  private mutating func beginLine(isFirst: Bool, indent: Int) {
    if !isFirst { text.append(UInt8(ascii: ",")) }
    text.append(0x0A)
    text.append(contentsOf: repeatElement(0x20, count: indent))
  }

  private mutating func flush(over size: Int) throws(MigrationError) {
    guard text.count > size else { return }
    try write(String(decoding: text, as: UTF8.self))
    text.removeAll(keepingCapacity: text.count <= 2 * Self.pieceSize)
  }
}
