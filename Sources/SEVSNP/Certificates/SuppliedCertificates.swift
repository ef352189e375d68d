package import Cryptography
package import Errors
internal import JSON
internal import Wire

/// Certificates supplied with a report, from files in any supported form. None of them is trusted.
package struct SuppliedCertificates: Equatable, Sendable {
  package private(set) var certificates: [X509Certificate] = []
  /// Number of entries of certificate tables that were skipped because their kind is unknown.
  package private(set) var unknownEntries = 0
  /// Number of those that would be of a known kind if their GUIDs were in the byte order of the
  /// text.
  package private(set) var mixedEndianEntries = 0
  /// Whether a certificate table had no entry.
  private var hasEmptyTable = false

  package init() {}

  /// The certificates in a table.
  /// - Throws: `CERT-SYNTAX`.
  package init(_ table: CertificateTable) throws(MigrationError) {
    certificates = try table.certificates()
    hasEmptyTable = table.entries.isEmpty
    unknownEntries = table.unknownEntries.count
    mixedEndianEntries = table.unknownEntries.count { $0.isMixedEndian }
  }

  private init(_ certificates: [X509Certificate]) { self.certificates = certificates }

  /// The certificates in a file: a certificate table, one certificate in DER, any number in PEM, or
  /// the JSON of Azure's THIM service; or hex digits or Base64 of one of these.
  ///
  /// A table is tried first: its contents may be text, and its rules apply whatever they are.
  /// - Throws: `CERT-TABLE` for a table that breaks its rules; `CERT-SYNTAX` for a file in none of
  ///   these forms, with a description of what it looks like instead.
  package init(file bytes: [UInt8]) throws(MigrationError) {
    if let found = try Self.content(bytes) {
      self = found
    } else if bytes.isText, let decoded = BinaryText(bytes.withoutByteOrderMark),
      let found = try Self.content(decoded.bytes)
    {
      self = found
    } else {
      throw MigrationError(
        .certificateSyntax, "file is neither DER, PEM nor a certificate table",
        got: Likeness(bytes).decodedDescription)
    }
  }

  /// nil for bytes in none of the forms.
  private static func content(
    _ bytes: [UInt8]
  ) throws(MigrationError) -> SuppliedCertificates? {
    if let table = try table(bytes) { return try Self(table) }
    if isJSON(bytes) { return try certificates(inJSON: bytes).map { Self($0) } }
    guard PEM.isText(bytes) || DERValue.isSequence(bytes) else { return nil }
    return Self(try X509Certificate.read(bytes))
  }

  /// Adds the certificates of `other`, and its counts of skipped entries.
  package mutating func append(_ other: SuppliedCertificates) {
    certificates += other.certificates
    unknownEntries += other.unknownEntries
    mixedEndianEntries += other.mixedEndianEntries
    hasEmptyTable = hasEmptyTable || other.hasEmptyTable
  }

  mutating func append(_ other: [X509Certificate]) { certificates += other }

  /// Why certificate tables gave fewer certificates than they might have, as one clause; nil when
  /// there is no reason to mention.
  package var note: String? {
    guard unknownEntries > 0 else { return hasEmptyTable ? "the certificate table is empty" : nil }
    let what =
      unknownEntries == 1
      ? "1 entry of the certificate table is of unknown kind"
      : "\(unknownEntries) entries of the certificate table are of unknown kind"
    return mixedEndianEntries == 0
      ? what
      : what + ": \(mixedEndianEntries) would be known, were their GUIDs in AMD's byte order"
  }

  /// nil for bytes that are not meant to be a table. Bytes that begin as text or DER are a table
  /// only if they are well-formed as one; DER, whose zeros may look like a table, only if an entry
  /// is of a known kind.
  private static func table(_ bytes: [UInt8]) throws(MigrationError) -> CertificateTable? {
    if CertificateTable.isMeant(bytes) { return try CertificateTable(bytes) }
    guard let table = try? CertificateTable(bytes),
      !DERValue.isSequence(bytes) || table.entries.count > table.unknownEntries.count
    else { return nil }
    return table
  }

  private static func isJSON(_ bytes: [UInt8]) -> Bool {
    let first = bytes.withoutByteOrderMark.first { !$0.isWhiteSpace }
    return bytes.isText && first == UInt8(ascii: "{")
  }

  /// The certificates in a response of Azure's service for host certificates: `vcekCert`, and the
  /// chain above it. nil for other JSON.
  private static func certificates(
    inJSON bytes: [UInt8]
  ) throws(MigrationError) -> [X509Certificate]? {
    guard let json = try? JSON(parsing: bytes.withoutByteOrderMark) else { return nil }
    let texts = ["vcekCert", "certificateChain"].compactMap { json[$0] }
    guard !texts.isEmpty else { return nil }
    // Two readers might use different values of a repeated key.
    if let key = json.repeatedKey {
      throw MigrationError(.certificateSyntax, "\(printable(key)) occurs twice")
    }
    var certificates: [X509Certificate] = []
    for text in texts {
      guard let text = text.string else { return nil }
      certificates += try X509Certificate.read(Array(text.utf8))
    }
    return certificates
  }
}

extension AttestationVerifier {
  /// Makes every check that can be made. A missing certificate may be one that was skipped in a
  /// table; the refusal then says so.
  package func verify(report: [UInt8], supplied: SuppliedCertificates) -> AttestationResult {
    var result = verify(report: report, certificates: supplied.certificates)
    guard let note = supplied.note else { return result }
    result.checks = result.checks.map { check in
      guard [.certificate, .issuer].contains(check.name),
        case .failed(var error) = check.outcome, error.code == .certificateMissing
      else { return check }
      error.got = Wording(note)
      return AttestationCheck(name: check.name, outcome: .failed(error))
    }
    return result
  }
}
