import Cryptography
import Errors
import Testing
import Wire

@Suite struct P384Tests {
  static let order: [UInt8] = PrimeCurve.p384.orderBytes

  /// The order with `difference` added to its last byte, 0x73.
  static func order(plus difference: Int) -> [UInt8] {
    order.dropLast() + [UInt8(0x73 + difference)]
  }

  static let notScalars: [[UInt8]] = [
    [UInt8](repeating: 0, count: 48), order, order(plus: 1), [UInt8](repeating: 0xFF, count: 48),
    [], [1], [UInt8](repeating: 1, count: 47), [UInt8](repeating: 1, count: 49),
    [0] + order(plus: -1),
  ]

  @Test(arguments: notScalars)
  func aScalarOutOfRangeIsNoKey(scalar: [UInt8]) {
    #expect(throws: MigrationError(.instanceSyntax, "not a private key of P-384")) {
      try P384.PrivateKey(scalar)
    }
  }

  /// 1 gives the generator; the order less 1 its negative, with the same x (SP 800-186).
  @Test func theSmallestAndTheLargestScalarAreKeys() throws {
    let x =
      hex("aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b98")
      + hex("59f741e082542a385502f25dbf55296c3a545e3872760ab7")
    let y =
      hex("3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147c")
      + hex("e9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f")
    let one = [UInt8](repeating: 0, count: 47) + [1]
    let smallest = try P384.PrivateKey(one)
    #expect(smallest.scalar == one)
    #expect(smallest.publicKey.bytes == [4] + x + y)
    let largest = try P384.PrivateKey(Self.order(plus: -1))
    #expect(Array(largest.publicKey.bytes[..<49]) == [4] + x)
    #expect(largest.publicKey != smallest.publicKey)
  }

  @Test func aPrivateKeyShowsNothing() throws {
    let key = try P384.PrivateKey([UInt8](repeating: 0x17, count: 48))
    #expect("\(key)" == "P-384 private key")
    #expect(String(reflecting: key) == "P-384 private key")
    var text = ""
    dump(key, to: &text)
    #expect(text.contains("storage: secret"))
    // Every byte of the scalar is 23, which a dump of it would print in a row.
    #expect(!text.filter { !$0.isWhitespace }.contains("-23-23-23"))
  }

  struct PointRow: Decodable, Sendable, CustomTestStringConvertible {
    let source: String
    let point: HexBytes
    let valid: Bool

    var testDescription: String { source }
  }

  @Test(arguments: try vectors("public-key-p384.json", of: PointRow.self))
  func aPointIsAPublicKeyAsPublished(row: PointRow) throws {
    if row.valid {
      #expect(try P384.PublicKey(row.point.bytes).bytes == row.point.bytes)
    } else {
      let error = #expect(throws: MigrationError.self) { try P384.PublicKey(row.point.bytes) }
      #expect(error?.code == .offerKey)
    }
  }

  static let notPoints: [[UInt8]] = [
    [], [0], [4], [UInt8](repeating: 0, count: 97), [4] + [UInt8](repeating: 0, count: 96),
    [4] + [UInt8](repeating: 0, count: 95), [4] + [UInt8](repeating: 0, count: 97),
  ]

  @Test(arguments: notPoints)
  func infinityAndOtherLengthsAreNoPublicKey(bytes: [UInt8]) {
    let error = #expect(throws: MigrationError.self) { try P384.PublicKey(bytes) }
    #expect(error?.code == .offerKey)
  }

  @Test func aSignatureHoldsForItsMessageAndKeyAlone() throws {
    let key = try P384.PrivateKey(deriving: [UInt8](repeating: 2, count: 48))
    let other = try P384.PrivateKey(deriving: [UInt8](repeating: 3, count: 48)).publicKey
    let message = Array("message".utf8)
    let signature = try key.sign(message: message)
    #expect(try key.sign(message: message) == signature)
    #expect(try key.sign(digest: SHA384.hash(message)) == signature)
    #expect(try key.publicKey.verify(signature, message: message))
    #expect(try key.publicKey.verify(signature, digest: SHA384.hash(message)))
    #expect(try !key.publicKey.verify(signature, message: message + [0]))
    #expect(try !other.verify(signature, message: message))
  }

  /// Of (r, s) and (r, n - s) both verify, and one only where a signature has one form.
  @Test func oneOfTwoSignaturesHasTheLowS() throws {
    let key = try P384.PrivateKey(deriving: [UInt8](repeating: 2, count: 48))
    var lows: Set<Bool> = []
    for byte in 0..<16 as Range<UInt8> {
      let plain = try key.sign(message: [byte])
      let other = try P384.Signature(r: plain.r, s: orderLess(plain.s))
      let low = try key.signLowS(message: [byte])
      #expect(low == plain || low == other)
      #expect(low.s[0] < 0x80)
      for signature in [plain, other] {
        #expect(try key.publicKey.verify(signature, message: [byte]))
        #expect(try key.publicKey.verifyLowS(signature, message: [byte]) == (signature == low))
      }
      lows.insert(low == plain)
    }
    #expect(lows.count == 2, "both cases came up")
  }

  private func orderLess(_ s: [UInt8]) throws -> [UInt8] {
    let order = try #require(
      Hex.decode(
        "ffffffffffffffffffffffffffffffffffffffffffffffff"
          + "c7634d81f4372ddf581a0db248b0a77aecec196accc52973"))
    var (difference, borrow) = ([UInt8](repeating: 0, count: 48), 0)
    for index in (0..<48).reversed() {
      let value = Int(order[index]) - Int(s[index]) - borrow
      borrow = value < 0 ? 1 : 0
      difference[index] = UInt8(truncatingIfNeeded: value)
    }
    return difference
  }

  @Test(arguments: [0, 32, 47, 49, 64])
  func aDigestOfAnotherLengthIsRefused(length: Int) throws {
    let key = try P384.PrivateKey(deriving: [UInt8](repeating: 2, count: 48))
    let digest = [UInt8](repeating: 0, count: length)
    #expect(throws: MigrationError(.cryptography, "digest has a wrong length")) {
      try key.sign(digest: digest)
    }
    // The same number as a digest of 48 zeros, whose signature is good.
    let zeros = [UInt8](repeating: 0, count: 48)
    let signature = try key.sign(digest: zeros)
    #expect(try key.publicKey.verify(signature, digest: zeros))
    #expect(try !key.publicKey.verify(signature, digest: digest))
  }
}

@Suite struct SignatureEncodingTests {
  /// 48 bytes that spell a small number.
  static func number(_ low: UInt8...) -> [UInt8] {
    [UInt8](repeating: 0, count: 48 - low.count) + low
  }

  @Test(arguments: [
    ("3006020101020102", number(1), number(2)),
    ("30060201000201 7f", number(0), number(0x7F)),
    ("3008020200800202 00ff", number(0x80), number(0xFF)),
    ("300802020100020200ff", number(1, 0), number(0xFF)),
  ])
  func aSequenceOfTwoIntegersIsRead(text: String, r: [UInt8], s: [UInt8]) throws {
    let der = hex(text.filter { $0 != " " })
    let signature = try #require(P384.Signature(der: der))
    #expect(signature.r == r)
    #expect(signature.s == s)
    #expect(signature.der == der)
    #expect(signature.raw == r + s)
    #expect(try signature == P384.Signature(r: r, s: s))
    #expect(signature == P384.Signature(raw: r + s))
  }

  @Test(arguments: [
    ("", "nothing"), ("30", "no length"), ("3000", "no integers"), ("3003020101", "one integer"),
    ("300602010102010200", "a byte behind"), ("3007020101020102", "longer than it says"),
    ("3005020101020102", "shorter than it says"), ("300902010102010203 0103", "three integers"),
    ("300702010102010200", "a byte behind, counted"), ("3106020101020102", "a set"),
    ("3006030101020102", "no integer first"), ("3006020101040102", "no integer second"),
    ("300702020001020102", "a zero too many"), ("300702010102020002", "a zero too many, second"),
    ("300702020000020102", "two zeros"), ("3006020180020102", "negative"),
    ("30060201010201ff", "negative, second"), ("30050200020102", "empty integer"),
    ("30050201010200", "empty integer, second"), ("308106020101020102", "length not minimal"),
    ("30820006020101020102", "length in two bytes"), ("30 80 0201010201020000", "no length known"),
    ("30070281010102 0102", "length of an integer not minimal"),
    ("300602010102 7f02", "integer runs out"), ("3006027f01020102", "first integer runs out"),
    ("30 84 ff ff ff ff 020101020102", "huge length"),
    ("30 88 7f ff ff ff ff ff ff ff 020101020102", "length near the largest Int"),
  ])
  func anotherFormIsRefused(text: String, why: String) {
    let der = hex(text.filter { $0 != " " })
    #expect(der.isEmpty == text.isEmpty)
    #expect(P384.Signature(der: der) == nil, "\(why)")
  }

  @Test(arguments: 0..<103)
  func aCutSignatureIsRefused(length: Int) throws {
    let full = try P384.Signature(
      r: [UInt8](repeating: 0x80, count: 48), s: [UInt8](repeating: 0x7F, count: 48))
    #expect(full.der.count == 103)
    #expect(P384.Signature(der: full.der) == full)
    #expect(P384.Signature(der: Array(full.der.prefix(length))) == nil)
  }

  @Test func anIntegerOfMoreThan48BytesIsRefused() {
    let long: [UInt8] = [0x02, 0x31, 0x01] + [UInt8](repeating: 0, count: 48)
    let short: [UInt8] = [0x02, 0x01, 0x01]
    #expect(P384.Signature(der: [0x30, 54] + long + short) == nil)
    #expect(P384.Signature(der: [0x30, 54] + short + long) == nil)
  }

  @Test(arguments: [0, 47, 49, 95, 97])
  func anotherLengthIsNoSignature(length: Int) {
    let bytes = [UInt8](repeating: 1, count: length)
    let half = [UInt8](repeating: 1, count: 48)
    #expect(P384.Signature(raw: bytes) == nil)
    let refusal = MigrationError(.reportSignature, "signature has a wrong length")
    #expect(throws: refusal) { try P384.Signature(r: bytes, s: half) }
    #expect(throws: refusal) { try P384.Signature(r: half, s: bytes) }
  }
}
