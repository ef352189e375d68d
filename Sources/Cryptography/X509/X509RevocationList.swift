package import Errors
internal import Wire

/// A list of certificates that their issuer has revoked (RFC 5280, section 5), read by libcrypto.
///
/// It is a value, like `X509Certificate`. That a list can be read says nothing about trust.
package struct X509RevocationList: Equatable, Sendable {
  /// Largest size of one list in bytes.
  package static let limit = 1 << 20

  /// The list as received.
  package let der: [UInt8]
  package let issuer: X509Name
  /// Seconds since 1970, both inclusive: the time at which the list was issued, and the latest time
  /// at which the next one will be.
  package let thisUpdate: Int64
  package let nextUpdate: Int64
  package let signatureAlgorithm: X509SignatureAlgorithm
  /// Whether the signed part names the same algorithm, as RFC 5280 requires.
  package let namesOneAlgorithm: Bool
  /// An extension, of the list or of an entry, because of which the list cannot be used; nil when
  /// there is none.
  package let unfitExtension: UnfitExtension?
  /// Serial numbers of the revoked certificates, big-endian without leading zeros.
  private let serialNumbers: Set<[UInt8]>

  /// Reads one list in DER.
  /// - Throws: `CERT-SYNTAX`.
  package init(der: [UInt8]) throws(MigrationError) {
    guard der.count <= Self.limit else {
      throw MigrationError(
        .certificateSyntax, "revocation list is too long", expected: "at most \(Self.limit) bytes",
        got: "\(der.count)")
    }
    let handle = try X509RevocationHandle(der)
    // Without nextUpdate a list would be in force for ever.
    guard handle.der == der, let thisUpdate = handle.thisUpdate,
      let nextUpdate = handle.nextUpdate
    else {
      throw MigrationError(
        .certificateSyntax, "revocation list is not well-formed: not DER, or without its dates")
    }
    self.der = der
    (self.thisUpdate, self.nextUpdate) = (thisUpdate, nextUpdate)
    issuer = try X509Name(der: handle.issuer)
    signatureAlgorithm = try X509SignatureAlgorithm(algorithmIdentifier: handle.signatureAlgorithm)
    namesOneAlgorithm = try X509SignatureAlgorithm.isNamedOnce(inSigned: der)
    var unfit = try UnfitExtension(among: handle.extensions)
    var serialNumbers: Set<[UInt8]> = []
    for index in 0..<handle.count {
      let entry = handle.entry(at: index)
      guard let number = try DERValue(entry.serialNumber).unsignedInteger else {
        throw MigrationError(
          .certificateSyntax, "revocation list is not well-formed: a negative serial number")
      }
      serialNumbers.insert(number)
      if unfit == nil, !entry.extensions.isEmpty {
        unfit = try UnfitExtension(among: entry.extensions)
      }
    }
    self.serialNumbers = serialNumbers
    unfitExtension = unfit
  }

  /// Reads every list in `bytes`: one in DER, or any number in PEM.
  /// - Throws: `CERT-SYNTAX`, also when there is none.
  package static func read(_ bytes: [UInt8]) throws(MigrationError) -> [X509RevocationList] {
    guard PEM.isText(bytes) else {
      guard DERValue.isSequence(bytes) else {
        throw MigrationError(
          .certificateSyntax, "neither a revocation list in DER nor PEM text",
          got: "\(Likeness(bytes))")
      }
      return [try X509RevocationList(der: bytes)]
    }
    var lists: [X509RevocationList] = []
    for der in try PEM.blocks("X509 CRL", in: bytes) {
      lists.append(try X509RevocationList(der: der))
    }
    guard !lists.isEmpty else {
      throw MigrationError(
        .certificateSyntax, "PEM text holds no revocation list", expected: "X509 CRL",
        got: PEM.otherContent(bytes))
    }
    // A block that is ignored could be a revocation that goes unnoticed.
    if let other = PEM.labels(in: bytes).first(where: { $0 != "X509 CRL" }) {
      throw MigrationError(
        .certificateSyntax, "PEM text holds something beside revocation lists",
        expected: "X509 CRL", got: printable(other))
    }
    return lists
  }

  /// True when the list has the issuer and the serial number of `certificate`.
  package func names(_ certificate: X509Certificate) -> Bool {
    guard certificate.issuer == issuer, let number = certificate.serialNumber else { return false }
    return serialNumbers.contains(number)
  }

  /// True when the key of `issuer` signed this list. The caller must compare names, dates and
  /// algorithm.
  package func isSigned(by issuer: X509Certificate) -> Bool {
    guard let own = try? X509RevocationHandle(der), let other = try? X509Handle(issuer.der) else {
      return false
    }
    return own.isSigned(by: other)
  }
}

/// An extension because of which a revocation list, or an entry, is not part of the complete list
/// of one root.
package struct UnfitExtension: Equatable, Sendable {
  /// What is wrong, as a clause: "revocation list has an extension twice".
  package let what: String
  /// Dotted form.
  package let identifier: String

  /// Extensions by which a list, whether they are critical or not, is incomplete or covers
  /// certificates of another issuer (RFC 5280, sections 5.2.4, 5.2.5 and 5.3.3).
  private static let partial = [
    "2.5.29.27": "revocation list only has the changes since another",
    "2.5.29.28": "revocation list is for a part of what was issued",
    "2.5.29.29": "revocation list has an entry of another issuer",
  ]

  /// The first such extension of a list or of one entry; nil when there is none.
  /// - Throws: `CERT-SYNTAX`.
  init?(among extensions: [X509RevocationHandle.Extension]) throws(MigrationError) {
    var seen: Set<[UInt8]> = []
    for item in extensions {
      let identifier = try DERValue(item.identifier).objectIdentifier ?? "without an identifier"
      if let what = Self.partial[identifier] {
        (self.what, self.identifier) = (what, identifier)
        return
      }
      guard seen.insert(item.identifier).inserted else {
        (what, self.identifier) = ("revocation list has an extension twice", identifier)
        return
      }
      guard !item.isCritical else {
        what = "revocation list has a critical extension that is not known"
        self.identifier = identifier
        return
      }
    }
    return nil
  }
}
