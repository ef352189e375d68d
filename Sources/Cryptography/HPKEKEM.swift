internal import Bytes

extension HPKE {
  /// Key encapsulation mechanisms (RFC 9180 section 7.1), all of them DHKEM.
  public enum KEM: UInt16, Sendable, CaseIterable {
    case p256SHA256 = 0x0010
    case p384SHA384 = 0x0011
    case p521SHA512 = 0x0012
    case x25519SHA256 = 0x0020

    /// The hash function of the mechanism's HKDF; its size is that of the shared secret, `Nsecret`.
    var digest: DigestAlgorithm {
      switch self {
      case .p256SHA256, .x25519SHA256: .sha256
      case .p384SHA384: .sha384
      case .p521SHA512: .sha512
      }
    }

    /// The mechanism over `Curve`.
    static func of<Curve: EllipticCurve>(_: Curve.Type) -> KEM {
      switch Curve.parameters.name {
      case .p256: .p256SHA256
      case .p384: .p384SHA384
      case .p521: .p521SHA512
      }
    }
  }
}

/// `LabeledExtract` and `LabeledExpand` of RFC 9180 section 4.
struct LabeledHKDF {
  private let suite: [UInt8]
  let digest: DigestAlgorithm

  /// The labels of a key encapsulation mechanism.
  init(kem: HPKE.KEM) {
    suite = Array("KEM".utf8) + bigEndian(kem.rawValue)
    digest = kem.digest
  }

  func extract(
    _ label: String, _ keyingMaterial: [UInt8], salt: [UInt8]
  ) throws(MigrationError) -> [UInt8] {
    var labeled = Array("HPKE-v1".utf8) + suite + Array(label.utf8) + keyingMaterial
    defer { wipe(&labeled) }
    return try HKDF.extract(labeled, salt: salt, using: digest)
  }

  func expand(
    _ label: String, _ pseudorandomKey: [UInt8], info: [UInt8], count: Int
  ) throws(MigrationError) -> [UInt8] {
    guard let length = UInt16(exactly: count) else {
      throw MigrationError(
        .cryptography, "HPKE cannot give so many bytes", expected: "at most 65535",
        got: "\(count)")
    }
    let labeled =
      bigEndian(length) + Array("HPKE-v1".utf8) + suite + Array(label.utf8) + info
    return try HKDF.expand(pseudorandomKey, info: labeled, count: count, using: digest)
  }
}

/// The two bytes of `value`, most significant first: `I2OSP(value, 2)`.
func bigEndian(_ value: UInt16) -> [UInt8] {
  [UInt8(truncatingIfNeeded: value >> 8), UInt8(truncatingIfNeeded: value)]
}
