import Cryptography
import Errors
import TestSupport
import Testing
import Wire

/// Certificates themselves are tested with AMD's and the model's, in SEVSNPTests.
@Suite struct X509Tests {
  @Test(
    arguments: [
      (bytes: [0x02, 0x01, 0x00], value: 0), ([0x02, 0x01, 0x7F], 127),
      ([0x02, 0x02, 0x00, 0x80], 128), ([0x02, 0x02, 0x00, 0xFF], 255),
      ([0x02, 0x02, 0x01, 0x00], 256), ([0x02, 0x04, 0x7F, 0xFF, 0xFF, 0xFF], 0x7FFF_FFFF),
      // Not minimal, negative, too large, empty, another type.
      ([0x02, 0x02, 0x00, 0x7F], nil), ([0x02, 0x01, 0x80], nil),
      ([0x02, 0x05, 0x00, 0x80, 0, 0, 0], nil), ([0x02, 0x00], nil), ([0x04, 0x01, 0x01], nil),
    ] as [([UInt8], Int?)])
  func integersAreMinimalAndUnsigned(bytes: [UInt8], value: Int?) throws {
    #expect(try DERValue(bytes).smallInteger == value)
  }

  @Test(
    arguments: [
      (bytes: [0x06, 0x03, 0x55, 0x1D, 0x13], text: "2.5.29.19"),
      (
        [0x06, 0x0A, 0x2B, 0x06, 0x01, 0x04, 0x01, 0x9C, 0x78, 0x01, 0x03, 0x08],
        "1.3.6.1.4.1.3704.1.3.8"
      ),
      ([0x06, 0x01, 0x27], "0.39"), ([0x06, 0x01, 0x28], "1.0"),
      ([0x06, 0x02, 0x88, 0x37], "2.999"),
      ([0x06, 0x02, 0x80, 0x01], nil), ([0x06, 0x01, 0x80], nil), ([0x06, 0x00], nil),
      ([0x06, 0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F], nil),
    ] as [([UInt8], String?)])
  func identifiersAreDotted(bytes: [UInt8], text: String?) throws {
    #expect(try DERValue(bytes).objectIdentifier == text)
  }

  @Test(
    arguments: [
      [], [0x30], [0x30, 0x01], [0x30, 0x80, 0, 0], [0x30, 0x81, 0x01, 0], [0x30, 0x82, 0, 0x80],
      [0x30, 0x83, 0, 0, 1, 0], [0x1F, 0x00], [0x30, 0x00, 0x00],
      [0x30, 0x84, 0xFF, 0xFF, 0xFF, 0xFF],
    ] as [[UInt8]])
  func whatIsNotOneDERValueIsRefused(bytes: [UInt8]) {
    #expect(refusalCode { _ = try DERValue(bytes) } == .certificateSyntax)
  }

  /// RFC 4648, section 10.
  @Test(arguments: [
    (text: "Zg==", bytes: "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYg==", "foob"),
    ("Zm9vYmE=", "fooba"), ("Zm9vYmFy", "foobar"),
  ])
  func base64IsThatOfTheStandard(text: String, bytes: String) throws {
    let pem = "-----BEGIN X-----\n\(text)\n-----END X-----\n"
    #expect(PEM.encode("X", Array(bytes.utf8)) == pem)
    #expect(try PEM.blocks("X", in: Array(pem.utf8)) == [Array(bytes.utf8)])
  }

  @Test(arguments: [
    "Zg=", "Zg", "Z===", "Zh==", "Zm9=", "Zm9v=", "Zg==Zg==", "Zm 9v", "Zm9-", "====",
  ])
  func otherBase64IsRefused(text: String) {
    let pem = "-----BEGIN X-----\n\(text)\n-----END X-----\n"
    #expect(refusalCode { _ = try PEM.blocks("X", in: Array(pem.utf8)) } == .certificateSyntax)
  }

  @Test func blocksAreFoundAmongText() throws {
    let text = """
      subject=A\r
      -----BEGIN A-----\r
      Zm9v\r
      YmFy\r
      -----END A-----\r
      -----BEGIN B-----
      Zg==
      -----END B-----
      between
      -----BEGIN A-----
      -----END A-----
      """
    #expect(try PEM.blocks("A", in: Array(text.utf8)) == [Array("foobar".utf8), []])
    #expect(PEM.isText(Array(text.utf8)))
    #expect(!PEM.isText([0x30, 0x00]))
  }

  @Test(arguments: [
    "-----BEGIN A-----\nZg==\n", "-----BEGIN A-----\nZg==\n-----END B-----\n",
    "-----BEGIN A-----\n-----BEGIN A-----\nZg==\n-----END A-----\n",
  ])
  func aBlockEndsAsItBegins(text: String) {
    #expect(refusalCode { _ = try PEM.blocks("A", in: Array(text.utf8)) } == .certificateSyntax)
  }

  @Test func textIsBounded() {
    let text = [UInt8](repeating: UInt8(ascii: "a"), count: PEM.limit + 1)
    #expect(refusalCode { _ = try PEM.blocks("A", in: text) } == .certificateSyntax)
  }

  @Test(
    arguments: [
      (seconds: 0, text: "1970-01-01T00:00:00Z"), (951_782_400, "2000-02-29T00:00:00Z"),
      (1_733_963_696, "2024-12-12T00:34:56Z"), (-1, "1969-12-31T23:59:59Z"),
      (253_402_300_799, "9999-12-31T23:59:59Z"), (-2_208_988_800, "1900-01-01T00:00:00Z"),
    ] as [(Int64, String)])
  func datesAreThoseOfTheCalendar(seconds: Int64, text: String) throws {
    #expect(CivilDate.text(seconds) == text)
    let parts = text.prefix(10).split(separator: "-").compactMap { Int64($0) }
    let days = CivilDate.days(year: parts[0], month: parts[1], day: parts[2])
    #expect(days * 86_400 == seconds - ((seconds % 86_400) + 86_400) % 86_400)
  }

  @Test(arguments: [Int64.min, .max]) func noNumberOfSecondsTraps(seconds: Int64) {
    #expect(CivilDate.text(seconds).hasSuffix("Z"))
  }
}
