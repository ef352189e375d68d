package import Errors

/// The public key of a certificate.
package enum X509PublicKey: Equatable, Sendable {
  /// An uncompressed point, 97 bytes.
  case p384([UInt8])
  /// RSA with a modulus of this many bits.
  case rsa(bits: Int)
  /// Another algorithm, by its identifier.
  case other(String)

  init(subjectPublicKeyInfo: [UInt8]) throws(MigrationError) {
    let parts = try DERValue(subjectPublicKeyInfo).children()
    guard parts.count == 2, parts[1].tag == 0x03, parts[1].content.first == 0 else {
      throw DERValue.malformed("public key")
    }
    let algorithm = try parts[0].children()
    let key = Array(parts[1].content.dropFirst())
    let name = algorithm.first?.objectIdentifier ?? ""
    switch name {
    case "1.2.840.10045.2.1"
    where algorithm.count == 2 && algorithm[1].objectIdentifier == "1.3.132.0.34"
      && key.count == 97 && key[0] == 4:
      self = .p384(key)
    case "1.2.840.113549.1.1.1":
      guard let modulus = try DERValue(key).children().first?.unsignedInteger,
        let top = modulus.first
      else { throw DERValue.malformed("RSA key") }
      self = .rsa(bits: modulus.count * 8 - top.leadingZeroBitCount)
    default: self = .other(name)
    }
  }
}

extension X509PublicKey: CustomStringConvertible {
  package var description: String {
    switch self {
    case .p384: "EC P-384"
    case .rsa(let bits): "RSA \(bits)"
    case .other(let name): name
    }
  }
}

/// How a certificate is signed.
package enum X509SignatureAlgorithm: Equatable, Sendable {
  /// RSASSA-PSS (RFC 4055) with the effective values, explicit or default: newer AMD certificates
  /// omit default parameters, so the encodings of one algorithm differ.
  case rsaPSS(hash: String, mask: String, saltLength: Int, trailer: Int)
  case ecdsaSHA384
  /// Another algorithm, by its identifier.
  case other(String)

  /// RSASSA-PSS with SHA-384 for both hash and mask and a salt of 48 bytes, which is what AMD signs
  /// with.
  package static let rsaPSSSHA384 = X509SignatureAlgorithm.rsaPSS(
    hash: sha384, mask: sha384, saltLength: 48, trailer: 1)

  private static let sha1 = "1.3.14.3.2.26"
  private static let sha384 = "2.16.840.1.101.3.4.2.2"

  init(algorithmIdentifier: [UInt8]) throws(MigrationError) {
    let parts = try DERValue(algorithmIdentifier).children()
    guard let name = parts.first?.objectIdentifier else {
      throw DERValue.malformed("signature algorithm")
    }
    switch name {
    case "1.2.840.10045.4.3.3" where parts.count == 1: self = .ecdsaSHA384
    case "1.2.840.113549.1.1.10" where parts.count == 2: self = try Self.pss(parts[1])
    default: self = .other(name)
    }
  }

  /// Whether the AlgorithmIdentifiers inside and outside the signed part of a certificate or
  /// revocation list are equal, byte for byte. Inside, it is the first SEQUENCE: only version and
  /// serial number precede it.
  /// - Throws: `CERT-SYNTAX`.
  static func isNamedOnce(inSigned der: [UInt8]) throws(MigrationError) -> Bool {
    let parts = try DERValue(der).children()
    guard parts.count == 3, let inside = try parts[0].children().first(where: { $0.tag == 0x30 })
    else { throw DERValue.malformed("signature algorithm") }
    return inside == parts[1]
  }

  /// RSASSA-PSS-params: four explicitly tagged fields in order, each with a default.
  private static func pss(_ parameters: DERValue) throws(MigrationError) -> Self {
    var (hash, mask, saltLength, trailer) = (sha1, sha1, 20, 1)
    var previous: UInt8 = 0
    for field in try parameters.children() {
      let values = try DERValue.list(field.content)
      guard field.tag > previous, values.count == 1 else {
        throw DERValue.malformed("PSS parameters")
      }
      previous = field.tag
      switch field.tag {
      case 0xA0: hash = try digest(values[0])
      case 0xA1:
        let generator = try values[0].children()
        guard generator.count == 2, generator[0].objectIdentifier == "1.2.840.113549.1.1.8" else {
          throw DERValue.malformed("PSS mask generator")
        }
        mask = try digest(generator[1])
      case 0xA2: saltLength = try number(values[0])
      case 0xA3: trailer = try number(values[0])
      default: throw DERValue.malformed("PSS parameters")
      }
    }
    return .rsaPSS(hash: hash, mask: mask, saltLength: saltLength, trailer: trailer)
  }

  /// The identifier of a digest whose parameters are absent or NULL.
  private static func digest(_ algorithm: DERValue) throws(MigrationError) -> String {
    let parts = try algorithm.children()
    let hasNoParameters = parts.count == 1 || parts.count == 2 && parts[1].tag == 0x05
    guard hasNoParameters, let name = parts[0].objectIdentifier else {
      throw DERValue.malformed("PSS digest")
    }
    return name
  }

  private static func number(_ value: DERValue) throws(MigrationError) -> Int {
    guard let number = value.smallInteger else { throw DERValue.malformed("PSS parameters") }
    return number
  }
}

extension X509SignatureAlgorithm: CustomStringConvertible {
  package var description: String {
    switch self {
    case .rsaPSSSHA384: "RSASSA-PSS with SHA-384"
    case .rsaPSS(let hash, let mask, let saltLength, let trailer):
      "RSASSA-PSS (\(hash), mask \(mask), salt \(saltLength), trailer \(trailer))"
    case .ecdsaSHA384: "ECDSA with SHA-384"
    case .other(let name): name
    }
  }
}

extension X509Certificate {
  /// basicConstraints: nil when absent.
  /// - Throws: `CERT-SYNTAX`.
  package func basicConstraints() throws(MigrationError) -> (isCA: Bool, pathLength: Int?)? {
    guard let item = self["2.5.29.19"] else { return nil }
    let parts = try DERValue(item.value).children()
    let isCA = parts.first == DERValue(tag: 0x01, content: [0xFF])
    let rest = isCA ? Array(parts.dropFirst()) : parts
    guard rest.count <= 1 else { throw DERValue.malformed("basicConstraints") }
    guard let last = rest.first else { return (isCA, nil) }
    guard let length = last.smallInteger else { throw DERValue.malformed("basicConstraints") }
    return (isCA, length)
  }

  /// True when keyUsage allows signing certificates.
  /// - Throws: `CERT-SYNTAX`.
  package func maySignCertificates() throws(MigrationError) -> Bool { try allowsUse(5) }

  /// True when keyUsage allows signing revocation lists.
  /// - Throws: `CERT-SYNTAX`.
  package func maySignRevocationLists() throws(MigrationError) -> Bool { try allowsUse(6) }

  /// - Parameter bit: of keyUsage, 0 to 7, counted from the most significant one.
  private func allowsUse(_ bit: Int) throws(MigrationError) -> Bool {
    guard let item = self["2.5.29.15"] else { return false }
    let bits = try DERValue(item.value)
    guard bits.tag == 0x03, bits.content.count >= 2 else { throw DERValue.malformed("keyUsage") }
    return bits.content[1] & 0x80 >> bit != 0
  }

  /// The addresses of the issuer's revocation list: every URI of cRLDistributionPoints.
  /// - Throws: `CERT-SYNTAX`.
  package func revocationListLocations() throws(MigrationError) -> [String] {
    guard let item = self["2.5.29.31"] else { return [] }
    var locations: [String] = []
    for point in try DERValue(item.value).children() {
      // distributionPoint [0] { fullName [0] { uniformResourceIdentifier [6] ... } }
      for field in try point.children() where field.tag == 0xA0 {
        for names in try DERValue.list(field.content) where names.tag == 0xA0 {
          for name in try DERValue.list(names.content) where name.tag == 0x86 {
            locations.append(String(decoding: name.content, as: UTF8.self))
          }
        }
      }
    }
    return locations
  }
}
