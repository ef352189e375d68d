package import Errors
internal import Wire

/// A list of certificates that their issuer has taken back (RFC 5280, section 5), read by libcrypto.
///
/// A value, as `X509Certificate` is. Reading says nothing about trust.
package struct X509RevocationList: Equatable, Sendable {
  /// Bytes of one list that are read at most.
  package static let limit = 1 << 20

  /// The list as it came.
  package let der: [UInt8]
  package let issuer: X509Name
  /// Seconds since 1970, both inclusive: when it was made, and when the next one is due at the latest.
  package let thisUpdate: Int64
  package let nextUpdate: Int64
  package let signatureAlgorithm: X509SignatureAlgorithm
  /// Identifier of an extension, of the list or of an entry, that must be understood and is not; nil
  /// when there is none.
  package let criticalExtension: String?
  /// Serial numbers, big-endian without leading zeros.
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
    // Without a date for the next one a list would be in force for ever.
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
    var critical = handle.criticalExtensions
    var serialNumbers: Set<[UInt8]> = []
    for index in 0..<handle.count {
      let entry = handle.entry(at: index)
      guard let number = try DERValue(entry.serialNumber).unsignedInteger else {
        throw MigrationError(
          .certificateSyntax, "revocation list is not well-formed: a negative serial number")
      }
      serialNumbers.insert(number)
      critical += entry.criticalExtensions
    }
    self.serialNumbers = serialNumbers
    criticalExtension = try critical.first.map { (identifier) throws(MigrationError) in
      try DERValue(identifier).objectIdentifier ?? "without an identifier"
    }
  }

  /// Every list in `bytes`: one in DER, or any number in PEM.
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
    // A list that is passed over would be a revocation that is not seen.
    if let other = PEM.labels(in: bytes).first(where: { $0 != "X509 CRL" }) {
      throw MigrationError(
        .certificateSyntax, "PEM text holds something beside revocation lists",
        expected: "X509 CRL", got: printable(other))
    }
    return lists
  }

  /// True when it names `certificate`, which its issuer has issued.
  package func names(_ certificate: X509Certificate) -> Bool {
    guard certificate.issuer == issuer, let number = certificate.serialNumber else { return false }
    return serialNumbers.contains(number)
  }

  /// True when the key of `issuer` signed this list. Names, dates and algorithm are the caller's to
  /// compare.
  package func isSigned(by issuer: X509Certificate) -> Bool {
    guard let own = try? X509RevocationHandle(der), let other = try? X509Handle(issuer.der) else {
      return false
    }
    return own.isSigned(by: other)
  }
}
