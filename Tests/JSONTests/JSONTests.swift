import Errors
import JSON
import Testing

@Suite struct JSONTests {
  /// RFC 8259 texts: value, and the compact text that must come back.
  /// Each value takes more memory than its text.
  @Test func valuesAreCounted() throws {
    func text(_ count: Int) -> [UInt8] {
      Array("[0".utf8) + Array(repeatElement(Array(",0".utf8), count: count - 2).joined())
        + Array("]".utf8)
    }
    #expect(try JSON(parsing: text(JSON.valueLimit)).array?.count == JSON.valueLimit - 1)
    let refusal = #expect(throws: MigrationError.self) {
      try JSON(parsing: text(JSON.valueLimit + 1))
    }
    #expect(refusal?.code == .json && refusal?.what == "too many values")
  }

  @Test(arguments: [
    ("null", "null"), (" \t\r\n true ", "true"), ("false", "false"),
    ("0", "0"), ("18446744073709551615", "18446744073709551615"),
    ("-9223372036854775808", "-9223372036854775808"), ("-1", "-1"),
    ("18446744073709551616", "18446744073709551616"), ("-0", "-0"), ("1.50", "1.50"),
    ("-1e+10", "-1e+10"), ("0E-2", "0E-2"),
    ("\"\"", "\"\""), ("\"a\\u0041\\n\\/\"", "\"aA\\n/\""),
    ("\"\\ud83d\\ude00\"", "\"\\uD83D\\uDE00\""), ("\"é\u{7f}\"", "\"\\u00E9\\u007F\""),
    ("\"\\u0000\"", "\"\\u0000\""), ("\"\\\"\\\\\\b\\f\\r\\t\"", "\"\\\"\\\\\\b\\f\\r\\t\""),
    ("[]", "[]"), ("{}", "{}"), ("[1,[2,{}]]", "[1, [2, {}]]"),
    ("{\"b\":1,\"a\":2,\"b\":3}", "{\"b\": 1, \"a\": 2, \"b\": 3}"),
  ])
  func aValidTextComesBackInQEMUsSpelling(text: String, compact: String) throws {
    let value = try JSON(parsing: text)
    #expect(value.description == compact)
    #expect(try JSON(parsing: value.pretty) == value)
  }

  /// Texts and the byte where they stop being JSON.
  @Test(arguments: [
    ("", 0), (" ", 1), ("{", 1), ("[1", 2), ("[1,]", 3), ("{\"a\"}", 4), ("{\"a\":1,}", 7),
    ("{a:1}", 1), ("01", 1), ("+1", 0), ("1.", 2), (".5", 0), ("1e", 2), ("-", 1), ("tru", 0),
    ("nul", 0), ("NaN", 0), ("\"", 1), ("\"\n\"", 1), ("\"\\x\"", 1), ("\"\\u12\"", 5),
    ("\"\\ud800\"", 1), ("\"\\udc00\"", 1), ("\"\\ud800\\u0041\"", 1), ("\"\\ud800x\"", 1),
    ("[] []", 3), ("{} // no", 3), ("'a'", 0), ("[1 2]", 3), ("\u{feff}1", 0),
    ("\"\\u00g0\"", 5),
  ])
  func anInvalidTextIsRefusedAtItsByte(text: String, offset: UInt64) {
    let refusal = #expect(throws: MigrationError.self) { try JSON(parsing: text) }
    #expect(refusal?.code == .json)
    #expect(refusal?.offset == offset)
    #expect(Self.skipping(Array(text.utf8)) == offset)
  }

  /// Where a reader refuses a text that passes over all of it.
  private static func skipping(_ text: [UInt8], valueLimit: Int = JSON.valueLimit) -> UInt64? {
    var reader = JSONReader(text.span, valueLimit: valueLimit)
    do throws(MigrationError) {
      try reader.skip()
      try reader.end()
      return nil
    } catch {
      return error.offset
    }
  }

  /// What is passed over takes no memory, and so counts as no value.
  @Test func whatIsPassedOverIsCheckedAndNotCounted() {
    let text = Array(#"{"a": [1, -2.5, "x\u00e9é", true], "b": {"c": null}}"#.utf8)
    #expect(Self.skipping(text, valueLimit: 0) == nil)
    for length in 0..<text.count { #expect(Self.skipping(Array(text.prefix(length))) != nil) }
    let nested = String(repeating: "[", count: JSON.depthLimit + 1)
    #expect(Self.skipping(Array(nested.utf8)) == UInt64(JSON.depthLimit))
  }

  /// Nobody can hide a key behind one that is only equal in Unicode, or have it called repeated.
  @Test func keysAreToldApartByTheirBytes() throws {
    let texts = ["{\"K\": 1, \"\u{212A}\": 2}", "{\"\u{e9}\": 1, \"e\u{301}\": 2}"]
    for text in texts { #expect(try JSON(parsing: text).repeatedKey == nil) }
    #expect(try JSON(parsing: "{\"a\": {\"K\": 1, \"K\": 2}}").repeatedKey == "K")
  }

  /// Comparing such a string takes time with the square of the marks in a row.
  @Test func aStringHasThirtyMarksInARow() throws {
    let marks = String(repeating: "\u{300}\u{316}", count: 15)
    #expect(try JSON(parsing: "[\"a\(marks)\"]").array?.first?.string == "a\(marks)")
    for text in ["[\"a\(marks)\u{300}\"]", "{\"\(marks)\u{300}\": 1}", "[\"\(marks)\\u0300\"]"] {
      let refusal = #expect(throws: MigrationError.self) { try JSON(parsing: text) }
      #expect(refusal?.code == .json)
    }
  }

  @Test(arguments: [
    [0x22, 0xFF, 0x22], [0x22, 0xC0, 0x80, 0x22], [0x22, 0xED, 0xA0, 0x80, 0x22],
  ])
  func textThatIsNotUTF8IsRefused(bytes: [UInt8]) {
    let refusal = #expect(throws: MigrationError.self) { try JSON(parsing: bytes, at: 100) }
    #expect(refusal?.code == .json)
    #expect(refusal?.offset == 100)
    #expect(Self.skipping(bytes) == 0)
  }

  @Test func nestingIsAcceptedUpToTheLimitAndNotBeyond() throws {
    func nested(_ depth: Int) -> String {
      String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
    }
    _ = try JSON(parsing: nested(JSON.depthLimit))
    let refusal = #expect(throws: MigrationError.self) {
      try JSON(parsing: nested(JSON.depthLimit + 1))
    }
    #expect(refusal?.offset == UInt64(JSON.depthLimit))
    #expect(throws: MigrationError.self) { try JSON(parsing: String(repeating: "[", count: 9999)) }
  }

  @Test func everyCutOfAnObjectIsRefused() throws {
    let text = Array("{\"a\": [1, -2, \"x\\u00e9\", true], \"b\": {\"c\": null}}".utf8)
    _ = try JSON(parsing: text)
    for length in 0..<text.count {
      #expect(throws: MigrationError.self) { try JSON(parsing: Array(text.prefix(length))) }
    }
  }

  @Test func accessorsGiveWhatIsThereAndNilOtherwise() throws {
    let value = try JSON(parsing: "{\"n\": 7, \"m\": -7, \"s\": \"x\", \"a\": [1], \"n\": 8}")
    #expect(value["n"]?.uint == 7)
    #expect(value.values(under: "n") == [7, 8])
    #expect(value["m"]?.int == -7)
    #expect(value["m"]?.uint == nil)
    #expect(value["s"]?.string == "x")
    #expect(value["a"]?.array == [1])
    #expect(value["s"]?["n"] == nil)
    #expect(value["absent"] == nil)
    #expect(JSON(UInt64.max).int == nil)
  }

  @Test func prettyTextIndentsByTwo() {
    let value: JSON = ["a": 1, "b": [true, nil], "c": [], "d": [:], "e": ["f": "g"]]
    let text = """
      {
        "a": 1,
        "b": [
          true,
          null
        ],
        "c": [],
        "d": {},
        "e": {
          "f": "g"
        }
      }
      """
    #expect(String(decoding: value.pretty, as: UTF8.self) == text)
  }

  @Test func anObjectWrittenInPartsIsThePrettyText() throws {
    let value: JSON = [
      "a": 1, "o": ["r": [["x": 1], 2], "e": [], "n": [:], "z": 3], "l": [4], "e": [:],
    ]
    var text = ""
    var stream = JSONStream { text += $0 }
    try stream.append(.init("a", 1))
    try stream.append("o") { (object: inout JSONStream) throws(MigrationError) in
      try object.append("r", of: [["x": 1], 2] as [JSON]) { $0 }
      try object.append("e", of: [] as [JSON]) { $0 }
      try object.append("n") { (_: inout JSONStream) throws(MigrationError) in }
      try object.append(.init("z", 3))
    }
    try stream.append("l", of: [4] as [JSON]) { $0 }
    try stream.append("e") { (_: inout JSONStream) throws(MigrationError) in }
    try stream.end()
    #expect(text == String(decoding: value.pretty, as: UTF8.self) + "\n")
  }

  @Test func jsonSpellsBytes() throws {
    #expect(try JSON(parsing: "[251, 239, 255, 0, 26]").bytes == [251, 239, 255, 0, 26])
    #expect(try JSON(parsing: #""--__ABo""#).bytes == [251, 239, 255, 0, 26])
    #expect(try JSON(parsing: #""""#).bytes == [])
    for other in ["[256]", "[-1]", "[1.0]", "[\"1\"]", "1", "null", "{}", "\"?\""] {
      #expect(try JSON(parsing: other).bytes == nil, "\(other)")
    }
  }
}
