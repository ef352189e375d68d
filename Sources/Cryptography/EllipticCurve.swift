/// A prime curve of NIST (SP 800-186 section 3.2.1), where the choice is a type: a key of one curve
/// cannot be used with another.
public protocol EllipticCurve {
  static var parameters: CurveParameters { get }
}

/// NIST P-384, the curve of this toolkit and of AMD's signatures; ECDSA with it uses SHA-384.
public enum P384: EllipticCurve {
  public typealias PublicKey = ECPublicKey<P384>
  public typealias PrivateKey = ECPrivateKey<P384>
  public typealias Signature = ECDSASignature<P384>

  public static var parameters: CurveParameters { .p384 }
}

/// NIST P-256, needed only to check our HPKE and ECDSA against published vectors.
package enum P256: EllipticCurve {
  package static var parameters: CurveParameters { .p256 }
}

/// NIST P-521, needed only to check our HPKE against published vectors.
package enum P521: EllipticCurve {
  package static var parameters: CurveParameters { .p521 }
}

/// What differs between the curves.
public struct CurveParameters: Sendable {
  enum Name {
    case p256
    case p384
    case p521
  }

  let name: Name
  /// Bytes of a coordinate, a scalar, `r`, `s` and a shared secret.
  public let fieldSize: Int
  /// Bits of the group order.
  let orderBits: Int
  /// The digest that ECDSA (here) and the curve's KEM (RFC 9180) go with.
  public let digest: DigestAlgorithm

  /// Bytes of an uncompressed point, `04 || X || Y` (SEC 1 section 2.3.3).
  public var pointSize: Int { 1 + 2 * fieldSize }

  static let p256 = CurveParameters(name: .p256, fieldSize: 32, orderBits: 256, digest: .sha256)
  static let p384 = CurveParameters(name: .p384, fieldSize: 48, orderBits: 384, digest: .sha384)
  static let p521 = CurveParameters(name: .p521, fieldSize: 66, orderBits: 521, digest: .sha512)
}
