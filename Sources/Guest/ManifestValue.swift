internal import Bytes

/// One value of a manifest and where it stands, as a JSON pointer: "/ram/0/size".
struct ManifestValue {
  var json: JSON
  var place: String

  /// The whole document.
  /// - Throws: `GUEST-MANIFEST` when it is no JSON object.
  init(document bytes: [UInt8]) throws(MigrationError) {
    do {
      json = try JSON(parsing: bytes)
    } catch {
      throw MigrationError(
        .guestManifest, error.what, section: GuestBundle.manifest, at: error.offset,
        expected: error.expected, got: error.got)
    }
    place = ""
    guard json.members != nil else { throw wrong("an object") }
  }

  private init(_ json: JSON, _ place: String) { (self.json, self.place) = (json, place) }

  /// The member `key`.
  /// - Throws: `GUEST-MANIFEST` when it is missing or there twice.
  func member(_ key: String) throws(MigrationError) -> ManifestValue {
    guard json.members != nil else { throw wrong("an object") }
    let values = json.values(under: key)
    guard let value = values.first, values.count == 1 else {
      throw MigrationError(
        .guestManifest, "\(place)/\(key) is \(values.isEmpty ? "missing" : "there twice")",
        section: GuestBundle.manifest)
    }
    return ManifestValue(value, "\(place)/\(key)")
  }

  /// The member `key`; nil when there is none.
  /// - Throws: `GUEST-MANIFEST` when it is there twice.
  func optional(_ key: String) throws(MigrationError) -> ManifestValue? {
    json.values(under: key).isEmpty ? nil : try member(key)
  }

  /// The elements of an array of at most `limit`.
  func elements(limit: Int) throws(MigrationError) -> [ManifestValue] {
    guard let elements = json.array, elements.count <= limit else {
      throw wrong("an array of at most \(limit)")
    }
    return elements.enumerated().map { ManifestValue($1, "\(place)/\($0)") }
  }

  func string() throws(MigrationError) -> String {
    guard let text = json.string else { throw wrong("a string") }
    return text
  }

  func bool() throws(MigrationError) -> Bool {
    guard let flag = json.bool else { throw wrong("true or false") }
    return flag
  }

  /// A number of at most `limit`.
  func number<Value: FixedWidthInteger>(_ limit: Value = .max) throws(MigrationError) -> Value {
    guard let number = json.uint, let value = Value(exactly: number), value <= limit else {
      throw wrong("a number from 0 to \(limit)")
    }
    return value
  }

  /// A 64-bit number as a string: 0x and 1 to 16 hex digits.
  func hexadecimal() throws(MigrationError) -> UInt64 {
    guard let text = json.string, text.hasPrefix("0x"), (3...18).contains(text.utf8.count),
      text.utf8.dropFirst(2).allSatisfy({ UInt8(ascii: "+") != $0 && UInt8(ascii: "-") != $0 }),
      let value = UInt64(text.dropFirst(2), radix: 16)
    else { throw wrong("a string of 0x and hex digits") }
    return value
  }

  /// Runs `make`, whose refusal is one of this place.
  func checked<Value>(
    _ make: () throws(MigrationError) -> Value
  ) throws(MigrationError) -> Value {
    do {
      return try make()
    } catch {
      throw MigrationError(
        .guestManifest, "\(place): \(error.what)", section: GuestBundle.manifest,
        expected: error.expected, got: error.got)
    }
  }

  func wrong(_ expected: String) -> MigrationError {
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
    return MigrationError(
      .guestManifest, "\(place.isEmpty ? "manifest" : place) is not valid",
      section: GuestBundle.manifest, expected: expected, got: got)
  }
}
