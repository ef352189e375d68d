import Bytes
import Cryptography
import Testing

@Suite struct ECKeyTests {
  /// The order of P-384's group (SP 800-186 section 3.2.1.4).
  static let order =
    Hex.decode(
      "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf"
        + "581a0db248b0a77aecec196accc52973") ?? []
  /// P-384's prime.
  static let prime =
    Hex.decode(
      "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe"
        + "ffffffff0000000000000000ffffffff") ?? []

  @Test(arguments: try vectors("public-keys.txt"))
  func onlyPointsOfTheCurveAreKeys(vector: Vector) throws {
    let key = try P384.PublicKey(vector["public"])
    #expect(try (key != nil) == (vector.text("result") == "good"))
    if let key { #expect(try key.bytes == vector["public"]) }
  }

  @Test func otherFormsOfAPointAreRefused() throws {
    let good = try vectors("ecdh.txt")[0]["public"]
    #expect(try P384.PublicKey(good) != nil)
    let x = good[1...48]
    let refused: [[UInt8]] = [
      [], [0], [0] + good.dropFirst(), Array(good.dropLast()), good + [0], [2] + x, [3] + x,
      [6] + good.dropFirst(), [7] + good.dropFirst(), [4] + Self.prime + good[49...],
      [4] + x + Self.prime, [4] + [UInt8](repeating: 0, count: 96),
    ]
    for bytes in refused { #expect(try P384.PublicKey(bytes) == nil) }
  }

  @Test func scalarsOutOfRangeAreRefused() throws {
    var below = Self.order
    below[47] -= 1
    var above = Self.order
    above[47] += 1
    let one = [UInt8](repeating: 0, count: 47) + [1]
    for scalar in [one, below] {
      let key = try privateKey(P384.self, scalar)
      #expect(try key.exportScalar() == scalar)
    }
    let refused = [
      [], [UInt8](repeating: 0, count: 48), Self.order, above,
      [UInt8](repeating: 0xff, count: 48), [1], one + [0],
    ]
    for scalar in refused {
      let key = try P384.PrivateKey(scalar: scalar)
      let refused = key == nil
      #expect(refused)
    }
  }

  @Test(arguments: try vectors("ecdh.txt"))
  func bothSidesAgreeAsPublished(vector: Vector) throws {
    let key = try privateKey(P384.self, vector["private"])
    let peer = try #require(try P384.PublicKey(vector["peer"]))
    #expect(try key.publicKey.bytes == vector["public"])
    #expect(try key.sharedSecret(with: peer) == vector["shared"])
  }

  @Test(arguments: try vectors("derive-key-pair.txt"))
  func keysAreDerivedAsInHPKE(vector: Vector) throws {
    let key = try P384.PrivateKey(derivingFrom: vector["ikm"])
    #expect(try key.exportScalar() == vector["private"])
    #expect(try key.publicKey.bytes == vector["public"])
  }
}

@Suite struct ECDSATests {
  @Test(arguments: try vectors("ecdsa-rfc6979.txt"))
  func signaturesAreThoseOfRFC6979(vector: Vector) throws {
    switch try vector.text("curve") {
    case "p256": try signs(P256.self, vector)
    case "p384": try signs(P384.self, vector)
    default: try signs(P521.self, vector)
    }
  }

  private func signs<Curve: EllipticCurve>(_: Curve.Type, _ vector: Vector) throws {
    let key = try privateKey(Curve.self, vector["private"])
    #expect(try key.publicKey.bytes == vector["public"])
    let signature = try key.sign(message: vector["message"])
    #expect(try signature.r == vector["r"])
    #expect(try signature.s == vector["s"])
    #expect(try signature.der == vector["der"])
    #expect(try ECDSASignature<Curve>(der: vector["der"]) == signature)
    let digest = try Curve.parameters.digest.hash(vector["message"])
    #expect(try key.sign(digest: digest) == signature)
    #expect(try key.publicKey.verify(signature, digest: digest))
  }

  @Test(arguments: try vectors("ecdsa-verify.txt"))
  func publishedSignaturesAreJudged(vector: Vector) throws {
    let key = try #require(try P384.PublicKey(vector["public"]))
    let signature = try #require(P384.Signature(r: vector["r"], s: vector["s"]))
    let good = try vector.text("result") == "good"
    #expect(try key.verify(signature, message: vector["message"]) == good)
  }

  @Test func halvesOutOfRangeAreRefused() throws {
    let key = try P384.PrivateKey(derivingFrom: [1])
    let digest = try SHA384.hash([2])
    let good = try key.sign(digest: digest)
    #expect(try key.publicKey.verify(good, digest: digest))
    let zero = [UInt8](repeating: 0, count: 48)
    var above = ECKeyTests.order
    above[47] += 1
    let most = [UInt8](repeating: 0xff, count: 48)
    for bad in [zero, ECKeyTests.order, above, most] {
      for (r, s) in [(bad, good.s), (good.r, bad), (bad, bad)] {
        let signature = try #require(P384.Signature(r: r, s: s))
        #expect(try !key.publicKey.verify(signature, digest: digest))
      }
    }
  }

  @Test func everyByteOfASignatureCounts() throws {
    let key = try P384.PrivateKey(derivingFrom: [1])
    let digest = try SHA384.hash([2])
    let good = try key.sign(digest: digest)
    for byte in stride(from: 0, to: 96, by: 5) {
      let bad = try #require(P384.Signature(good.bytes.flipping(bit: byte * 8 + byte % 8)))
      #expect(try !key.publicKey.verify(bad, digest: digest))
    }
    #expect(try !key.publicKey.verify(good, digest: digest.flipping(bit: 383)))
    let other = try P384.PrivateKey(derivingFrom: [3])
    #expect(try !other.publicKey.verify(good, digest: digest))
  }

  @Test(arguments: [0, 32, 47, 49, 64])
  func aDigestOfAnotherSizeIsRefused(size: Int) throws {
    let key = try P384.PrivateKey(derivingFrom: [1])
    let digest = [UInt8](repeating: 1, count: size)
    #expect(throws: MigrationError.self) { try key.sign(digest: digest) }
    let signature = try key.sign(digest: SHA384.hash([2]))
    #expect(try !key.publicKey.verify(signature, digest: digest))
  }

  @Test(arguments: [0, 95, 97])
  func aRawSignatureHas96Bytes(size: Int) {
    #expect(P384.Signature([UInt8](repeating: 1, count: size)) == nil)
    #expect(P384.Signature(r: [UInt8](repeating: 1, count: size), s: []) == nil)
  }
}

@Suite struct SignatureEncodingTests {
  private static let small = [UInt8](repeating: 0, count: 47)

  @Test(
    arguments: [
      (r: [0x01], s: [0x7f], der: "3006020101" + "02017f"),
      (r: [0x80], s: [0xff], der: "300802020080" + "020200ff"),
      (r: [0x00], s: [0x01], der: "3006020100" + "020101"),
    ] as [(r: [UInt8], s: [UInt8], der: String)])
  func integersAreShortAndPositive(r: [UInt8], s: [UInt8], der: String) throws {
    let signature = try #require(P384.Signature(r: Self.small + r, s: Self.small + s))
    #expect(Hex.encode(signature.der) == der)
    #expect(P384.Signature(der: try #require(Hex.decode(der))) == signature)
  }

  /// Each is "3006020101020101" with one fault.
  @Test(arguments: [
    ("nothing", ""), ("no length", "30"), ("no content", "3000"),
    ("not a sequence", "3106020101020101"), ("not an integer", "3006030101020101"),
    ("second not an integer", "3006020101040101"), ("one integer", "3003020101"),
    ("length too large", "3007020101020101"), ("length too small", "3005020101020101"),
    ("byte behind", "300602010102010100"), ("byte inside", "300702010102010100"),
    ("long length form", "308106020101020101"), ("two-byte length", "30820006020101020101"),
    ("indefinite length", "30800201010201010000"), ("empty integer", "300502000201" + "01"),
    ("negative", "3006020181020101"), ("second negative", "3006020101020181"),
    ("superfluous zero", "300702020001020101"), ("integer cut", "3006020101020201"),
    ("long integer length", "300702810101020101"),
  ])
  func otherEncodingsAreRefused(fault: String, der: String) throws {
    #expect(P384.Signature(der: try #require(Hex.decode(der))) == nil, "\(fault)")
  }

  @Test func anIntegerLargerThanTheOrderIsRefused() throws {
    let long: [UInt8] = [0x02, 49, 1] + [UInt8](repeating: 0, count: 48)
    let der: [UInt8] = [0x30, UInt8(long.count + 3)] + long + [2, 1, 1]
    #expect(P384.Signature(der: der) == nil)
  }

  @Test func everyPrefixIsRefused() throws {
    let der = try P384.PrivateKey(derivingFrom: [1]).sign(digest: SHA384.hash([2])).der
    for length in der.indices { #expect(P384.Signature(der: Array(der[..<length])) == nil) }
  }
}
