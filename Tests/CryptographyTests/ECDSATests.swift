import Cryptography
import Errors
import Testing
import Wire

extension PrimeCurve {
  /// The curve a vector names.
  init?(named name: String) {
    switch name {
    case "P-256": self = .p256
    case "P-384": self = .p384
    case "P-521": self = .p521
    default: return nil
    }
  }

  /// The order of the group (SP 800-186).
  var orderBytes: [UInt8] {
    switch self {
    case .p256:
      hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551")
    case .p384:
      hex("ffffffffffffffffffffffffffffffffffffffffffffffff")
        + hex("c7634d81f4372ddf581a0db248b0a77aecec196accc52973")
    case .p521:
      hex("01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa")
        + hex("51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409")
    }
  }
}

@Suite struct ECDSATests {
  struct SignatureRow: Decodable, Sendable, CustomTestStringConvertible {
    let source, curve, hash, message: String
    let scalar, point, r, s: HexBytes

    var testDescription: String { "\(source), \(hash), \"\(message)\"" }
  }

  @Test(arguments: try vectors("ecdsa-rfc6979.json", of: SignatureRow.self))
  func aPublishedSignatureIsReproducedAndVerified(row: SignatureRow) throws {
    let curve = try #require(PrimeCurve(named: row.curve))
    let hash = try #require(DigestAlgorithm(named: row.hash))
    let digest = try hash.hash(Array(row.message.utf8))
    let signature = try ECDSA.sign(
      digest: digest, scalar: row.scalar.bytes, on: curve, using: hash)
    #expect(signature.r == row.r.bytes)
    #expect(signature.s == row.s.bytes)
    #expect(
      try ECDSA.verify(
        digest: digest, r: signature.r, s: signature.s, point: row.point.bytes, on: curve))
  }

  struct VerificationRow: Decodable, Sendable, CustomTestStringConvertible {
    let source, curve: String
    let digest, point, r, s: HexBytes
    let valid: Bool

    var testDescription: String { source }
  }

  @Test(arguments: try vectors("ecdsa-verify.json", of: VerificationRow.self))
  func aPublishedSignatureIsJudgedAsPublished(row: VerificationRow) throws {
    let curve = try #require(PrimeCurve(named: row.curve))
    let isGood = try ECDSA.verify(
      digest: row.digest.bytes, r: row.r.bytes, s: row.s.bytes, point: row.point.bytes, on: curve)
    #expect(isGood == row.valid)
  }

  /// Numbers no signature has, beside a good one: the other number stays good.
  @Test(arguments: PrimeCurve.allCases)
  func numbersOutOfRangeAreRefused(curve: PrimeCurve) throws {
    let good = try signed(on: curve)
    let order = curve.orderBytes
    #expect(order.count == curve.scalarSize)
    var above = order
    above[above.count - 1] += 1
    let numbers = [
      [UInt8](repeating: 0, count: curve.scalarSize), order, above,
      [UInt8](repeating: 0xFF, count: curve.scalarSize), [], [1], [0] + good.r, [0] + good.s,
      Array(good.r.dropFirst()),
    ]
    #expect(try good.verify())
    for number in numbers {
      #expect(try !good.verify(r: number))
      #expect(try !good.verify(s: number))
      #expect(try !good.verify(r: number, s: number))
    }
  }

  @Test(arguments: PrimeCurve.allCases)
  func anotherDigestOrKeyIsRefused(curve: PrimeCurve) throws {
    let good = try signed(on: curve)
    var digest = good.digest
    digest[0] ^= 1
    #expect(try !good.verify(digest: digest))
    #expect(try !good.verify(r: good.s, s: good.r))
    var half = good.r
    half[half.count - 1] ^= 1
    #expect(try !good.verify(r: half))
    // A negative point is another key.
    var point = good.point
    point[point.count - 1] ^= 1
    #expect(try !good.verify(point: point))
    let sign = (good.point.last ?? 0) & 1
    let others: [[UInt8]] = [
      [], [0], [UInt8](repeating: 0, count: curve.pointSize),
      [4] + [UInt8](repeating: 0, count: curve.pointSize - 1), Array(good.point.dropLast()),
      good.point + [0], [6 + sign] + good.point.dropFirst(),
      [2 + sign] + good.point[1...curve.scalarSize],
    ]
    for point in others {
      #expect(try !good.verify(point: point), "\(Hex.encode(point))")
    }
  }

  @Test(arguments: PrimeCurve.allCases)
  func aScalarOutOfRangeDoesNotSign(curve: PrimeCurve) {
    let size = curve.scalarSize
    var above = curve.orderBytes
    above[above.count - 1] += 1
    let refusal = MigrationError(.cryptography, "not a private key of the curve")
    let scalars: [[UInt8]] = [
      [], [UInt8](repeating: 0, count: size), curve.orderBytes, above,
      [UInt8](repeating: 1, count: size - 1), [0] + [UInt8](repeating: 1, count: size),
    ]
    for scalar in scalars {
      #expect(throws: refusal) {
        try ECDSA.sign(
          digest: [UInt8](repeating: 1, count: 48), scalar: scalar, on: curve, using: .sha384)
      }
    }
  }

  private struct Signed {
    let curve: PrimeCurve
    let digest, point, r, s: [UInt8]

    func verify(
      digest: [UInt8]? = nil, r: [UInt8]? = nil, s: [UInt8]? = nil, point: [UInt8]? = nil
    ) throws -> Bool {
      try ECDSA.verify(
        digest: digest ?? self.digest, r: r ?? self.r, s: s ?? self.s, point: point ?? self.point,
        on: curve)
    }
  }

  /// A good signature, from the published rows.
  private func signed(on curve: PrimeCurve) throws -> Signed {
    let rows = try vectors("ecdsa-rfc6979.json", of: SignatureRow.self)
    let row = try #require(rows.first { PrimeCurve(named: $0.curve) == curve })
    let hash = try #require(DigestAlgorithm(named: row.hash))
    return Signed(
      curve: curve, digest: try hash.hash(Array(row.message.utf8)), point: row.point.bytes,
      r: row.r.bytes, s: row.s.bytes)
  }
}
