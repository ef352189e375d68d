package import Errors
internal import Wire

/// An X.509 certificate (RFC 5280), read by libcrypto.
///
/// It is a value: its parts are copied when it is made, and signatures are checked from `der`. That
/// a certificate can be read says nothing about trust.
package struct X509Certificate: Equatable, Sendable {
  /// Largest size of one certificate in bytes.
  package static let limit = 1 << 14

  /// The certificate as received.
  package let der: [UInt8]
  /// 1 to 3.
  package let version: Int
  /// Big-endian without leading zeros; zero is empty. nil when negative.
  package let serialNumber: [UInt8]?
  package let subject: X509Name
  package let issuer: X509Name
  /// Seconds since 1970, both inclusive.
  package let notBefore: Int64
  package let notAfter: Int64
  package let publicKey: X509PublicKey
  /// SHA-384 of SubjectPublicKeyInfo, 48 bytes. It identifies the key, whatever the rest of the
  /// certificate says.
  package let keyFingerprint: [UInt8]
  package let signatureAlgorithm: X509SignatureAlgorithm
  /// Whether the signed part names the same algorithm, as RFC 5280 requires.
  package let namesOneAlgorithm: Bool
  /// In the order of the certificate. An identifier may occur twice; see `repeatedExtension`.
  package let extensions: [X509Extension]

  /// Reads one certificate in DER.
  /// - Throws: `CERT-SYNTAX`.
  package init(der: [UInt8]) throws(MigrationError) {
    guard der.count <= Self.limit else {
      throw MigrationError(
        .certificateSyntax, "certificate is too long", expected: "at most \(Self.limit) bytes",
        got: "\(der.count)")
    }
    let handle = try X509Handle(der)
    // libcrypto also reads some BER; a certificate that it would encode differently is refused.
    guard handle.der == der, let notBefore = handle.notBefore, let notAfter = handle.notAfter
    else { throw DERValue.malformed("not DER") }
    self.der = der
    self.notBefore = notBefore
    self.notAfter = notAfter
    // The encoded number is the version minus 1; libcrypto accepts any number that fits its
    // integer.
    guard let version = (1...3).first(where: { handle.version == $0 - 1 }) else {
      throw DERValue.malformed("unknown version of X.509")
    }
    self.version = version
    serialNumber = try DERValue(handle.serialNumber).unsignedInteger
    subject = try X509Name(der: handle.subject)
    issuer = try X509Name(der: handle.issuer)
    let key = handle.publicKey
    publicKey = try X509PublicKey(subjectPublicKeyInfo: key)
    keyFingerprint = try SHA384.hash(key)
    signatureAlgorithm = try X509SignatureAlgorithm(algorithmIdentifier: handle.signatureAlgorithm)
    namesOneAlgorithm = try X509SignatureAlgorithm.isNamedOnce(inSigned: der)
    var extensions: [X509Extension] = []
    for index in 0..<handle.extensionCount {
      let item = handle.certificateExtension(at: index)
      guard let identifier = try DERValue(item.identifier).objectIdentifier else {
        throw DERValue.malformed("extension without an identifier")
      }
      extensions.append(
        X509Extension(identifier: identifier, isCritical: item.isCritical, value: item.value))
    }
    self.extensions = extensions
  }

  /// Reads every certificate in `bytes`: one in DER, or any number in PEM.
  /// - Throws: `CERT-SYNTAX`, also when there is none; the message says what is there instead.
  package static func read(_ bytes: [UInt8]) throws(MigrationError) -> [X509Certificate] {
    guard PEM.isText(bytes) else {
      guard DERValue.isSequence(bytes) else {
        throw MigrationError(
          .certificateSyntax, "neither a certificate in DER nor PEM text",
          got: "\(Likeness(bytes))")
      }
      return [try X509Certificate(der: bytes)]
    }
    var certificates: [X509Certificate] = []
    for der in try PEM.blocks("CERTIFICATE", in: bytes) {
      certificates.append(try X509Certificate(der: der))
    }
    guard !certificates.isEmpty else {
      throw MigrationError(
        .certificateSyntax, "PEM text holds no certificate", expected: "CERTIFICATE",
        got: PEM.otherContent(bytes))
    }
    return certificates
  }

  /// The certificate as one PEM block.
  package var pem: String { PEM.encode("CERTIFICATE", der) }

  /// True when the key of `issuer` signed this certificate. The caller must compare names and
  /// dates, and check the algorithm: every algorithm that libcrypto knows passes here.
  package func isSigned(by issuer: X509Certificate) -> Bool {
    guard let own = try? X509Handle(der), let other = try? X509Handle(issuer.der) else {
      return false
    }
    return own.isSigned(by: other)
  }

  /// True from `notBefore` to `notAfter`.
  /// - Parameter time: seconds since 1970.
  package func isValid(at time: Int64) -> Bool { notBefore <= time && time <= notAfter }

  /// The identifier of an extension that occurs more than once, or nil.
  package var repeatedExtension: String? {
    var seen: Set<String> = []
    return extensions.first { !seen.insert($0.identifier).inserted }?.identifier
  }

  /// The one extension with `identifier`, in dotted form; nil when there is none.
  package subscript(identifier: String) -> X509Extension? {
    extensions.first { $0.identifier == identifier }
  }
}

/// An extension as encoded in the certificate.
package struct X509Extension: Equatable, Sendable {
  /// Dotted form.
  package var identifier: String
  package var isCritical: Bool
  /// The content octets, which are usually DER.
  package var value: [UInt8]
}

/// A distinguished name.
package struct X509Name: Equatable, Sendable {
  /// The name as encoded in the certificate: two names are the same when these bytes are equal.
  package let der: [UInt8]
  /// Type (`CN`, `O`, `OU`, `C`, `L`, `ST`, otherwise the identifier) and text of each attribute.
  package let attributes: [Attribute]

  /// One attribute of a distinguished name.
  package struct Attribute: Equatable, Sendable {
    package var type: String
    package var text: String
  }

  private static let types = [
    "2.5.4.3": "CN", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.10": "O",
    "2.5.4.11": "OU",
  ]

  init(der: [UInt8]) throws(MigrationError) {
    self.der = der
    var attributes: [Attribute] = []
    for set in try DERValue(der).children() {
      for attribute in try set.children(tag: 0x31) {
        let parts = try attribute.children()
        guard parts.count == 2, let type = parts[0].objectIdentifier else {
          throw DERValue.malformed("name")
        }
        attributes.append(
          Attribute(
            type: Self.types[type] ?? type,
            text: String(decoding: parts[1].content, as: UTF8.self)))
      }
    }
    self.attributes = attributes
  }

  /// The text of the one attribute of `type`; nil when there is none or more than one.
  package subscript(type: String) -> String? {
    let found = attributes.filter { $0.type == type }
    return found.count == 1 ? found[0].text : nil
  }

  /// The common name; nil when there is none or more than one.
  package var commonName: String? { self["CN"] }
}

extension X509Name: CustomStringConvertible {
  package var description: String {
    attributes.map { "\($0.type)=\($0.text)" }.joined(separator: ", ")
  }
}
