package import Errors
internal import Wire

/// One value of a JSON document that is read strictly, and its place as a JSON pointer (RFC 6901):
/// "/ram/0/size".
///
/// Every error in the document is refused with the same code, and with the place of the error.
package struct DocumentValue: Sendable {
  /// A kind of document, which decides code, place and wording of its refusals.
  package struct Kind: Sendable {
    /// The code of every refusal.
    package var code: ErrorCode
    /// The file or section that refusals name.
    package var place: Place
    /// What the document is called: "manifest".
    package var name: String

    package init(_ code: ErrorCode, in place: Place, name: String) {
      self.code = code
      self.place = place
      self.name = name
    }
  }

  private let json: JSON
  private let place: String
  private let kind: Kind

  /// The whole document.
  /// - Throws: the kind's code when the document is not a JSON object; with the byte when it is not
  ///   JSON.
  package init(document bytes: [UInt8], of kind: Kind) throws(MigrationError) {
    do {
      json = try JSON(parsing: bytes)
    } catch {
      throw MigrationError(
        kind.code, error.what, in: kind.place, at: error.offset, expected: error.expected,
        got: error.got)
    }
    place = ""
    self.kind = kind
    guard json.members != nil else { throw wrong("an object") }
    try requireEachKeyOnce(in: json, at: "")
  }

  /// Refuses a key that comes twice in its object, in every object and whether or not the key is
  /// known: readers would differ in which of the two values they take.
  private func requireEachKeyOnce(in json: JSON, at place: String) throws(MigrationError) {
    if let members = json.members {
      var seen: Set<JSON.ExactKey> = []
      for member in members {
        let place = "\(place)/\(Self.step(member.key))"
        guard seen.insert(JSON.ExactKey(text: member.key)).inserted else {
          throw refusal("\(place) occurs twice")
        }
        try requireEachKeyOnce(in: member.value, at: place)
      }
    }
    for (index, element) in (json.array ?? []).enumerated()
    where element.array != nil || element.members != nil {
      try requireEachKeyOnce(in: element, at: "\(place)/\(index)")
    }
  }

  private init(_ json: JSON, _ place: String, _ kind: Kind) {
    (self.json, self.place, self.kind) = (json, place, kind)
  }

  // MARK: Objects

  /// The member `key`.
  /// - Throws: the kind's code when the member is missing, or this is not an object.
  package func member(_ key: String) throws(MigrationError) -> DocumentValue {
    guard let value = try optional(key) else { throw refusal("\(place)/\(key) is missing") }
    return value
  }

  /// The member `key`; nil when there is none.
  /// - Throws: the kind's code when this is not an object.
  package func optional(_ key: String) throws(MigrationError) -> DocumentValue? {
    guard json.members != nil else { throw wrong("an object") }
    return json[key].map { DocumentValue($0, "\(place)/\(key)", kind) }
  }

  /// Refuses every key that is not in `known`.
  /// - Throws: the kind's code, with the place of the first such key.
  package func requireKeys(_ known: [String]) throws(MigrationError) {
    guard let members = json.members else { throw wrong("an object") }
    for member in members where !known.contains(where: member.isNamed) {
      throw refusal(
        "\(place)/\(Self.step(member.key)) is not known",
        expected: "one of \(known.joined(separator: ", "))")
    }
  }

  /// A key as a step of a JSON pointer.
  private static func step(_ key: String) -> String {
    var step = ""
    for character in printable(key) {
      switch character {
      case "~": step += "~0"
      case "/": step += "~1"
      default: step.append(character)
      }
    }
    return step
  }

  // MARK: Values

  /// The elements of an array that has `least` to `limit` of them. They are made one by one: their places
  /// would take more memory than the array.
  package func elements(
    atLeast least: Int = 0, limit: Int
  ) throws(MigrationError) -> some Sequence<DocumentValue> {
    guard let elements = json.array, elements.count >= least, elements.count <= limit else {
      throw wrong("an array of \(least == 0 ? "at most" : "\(least) to") \(limit)")
    }
    return elements.enumerated().lazy.map { [place, kind] in
      DocumentValue($1, "\(place)/\($0)", kind)
    }
  }

  /// The value, which must be a string.
  /// - Throws: the kind's code when it is not.
  package func string() throws(MigrationError) -> String {
    guard let text = json.string else { throw wrong("a string") }
    return text
  }

  /// The value, which must be `true` or `false`.
  /// - Throws: the kind's code when it is neither.
  package func bool() throws(MigrationError) -> Bool {
    guard let flag = json.bool else { throw wrong("true or false") }
    return flag
  }

  /// An integer from `least` to `limit`.
  package func number<Value: FixedWidthInteger>(
    atLeast least: Value = 0, _ limit: Value = .max
  ) throws(MigrationError) -> Value {
    guard let number = json.uint, let value = Value(exactly: number), value >= least,
      value <= limit
    else { throw wrong("a number from \(least) to \(limit)") }
    return value
  }

  /// A 64-bit number in the form of a string: 0x and 1 to 16 hexadecimal digits.
  package func hexadecimal() throws(MigrationError) -> UInt64 {
    guard let text = json.string, text.hasPrefix("0x"), (3...18).contains(text.utf8.count),
      text.utf8.dropFirst(2).allSatisfy({ UInt8(ascii: "+") != $0 && UInt8(ascii: "-") != $0 }),
      let value = UInt64(text.dropFirst(2), radix: 16)
    else { throw wrong("a string of 0x and hex digits") }
    return value
  }

  /// `count` bytes in the form of a string, two hexadecimal digits each.
  package func bytes(_ count: Int) throws(MigrationError) -> [UInt8] { try bytes([count]) }

  /// Bytes in the form of a string, two hexadecimal digits each.
  /// - Parameter counts: the numbers of bytes that are allowed.
  package func bytes(_ counts: [Int]) throws(MigrationError) -> [UInt8] {
    guard let text = json.string, counts.contains(where: { text.utf8.count == 2 * $0 }),
      let bytes = Hex.decode(text)
    else {
      let hint = json.string?.hasPrefix("0x") == true ? ", without 0x" : ""
      throw wrong(
        "a string of \(counts.map(String.init).joined(separator: " or ")) bytes in hex\(hint)")
    }
    return bytes
  }

  // MARK: Refusals

  /// Runs `make`; an error that it throws becomes a refusal of this value.
  package func checked<Value>(
    _ make: () throws(MigrationError) -> Value
  ) throws(MigrationError) -> Value {
    do {
      return try make()
    } catch {
      throw MigrationError(
        kind.code, "\(place): \(error.what)", in: kind.place, expected: error.expected,
        got: error.got)
    }
  }

  /// The refusal of this value.
  /// - Parameter expected: what the value should be.
  package func wrong(_ expected: String) -> MigrationError {
    let got =
      switch json {
      case .null: "null"
      case .bool(let flag): "\(flag)"
      case .unsigned(let value): "\(value)"
      case .negative(let value): "\(value)"
      case .decimal(let text): printable(text)
      case .string(let text): "\"\(printable(text))\""
      case .array(let elements): "an array of \(elements.count)"
      case .object: "an object"
      }
    return refusal(
      "\(place.isEmpty ? kind.name : place) is not valid", expected: expected, got: got)
  }

  private func refusal(
    _ what: String, expected: String? = nil, got: String? = nil
  ) -> MigrationError {
    MigrationError(kind.code, what, in: kind.place, expected: expected, got: got)
  }
}
