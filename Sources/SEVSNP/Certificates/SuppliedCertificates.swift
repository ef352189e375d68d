package import Cryptography
package import Errors
internal import JSON
internal import Wire

/// Certificates that come beside a report, out of files of any form. None of them is trusted.
package struct SuppliedCertificates: Equatable, Sendable {
  package private(set) var certificates: [X509Certificate] = []
  /// How many entries of certificate tables are of unknown kind, and so were passed over.
  package private(set) var unknownEntries = 0
  /// How many of those are of a known kind, were their GUIDs in the byte order of their text.
  package private(set) var mixedEndianEntries = 0
  /// Whether a certificate table had no entry.
  private var hasEmptyTable = false

  package init() {}

  /// What a table holds.
  /// - Throws: `CERT-SYNTAX`.
  package init(_ table: CertificateTable) throws(MigrationError) {
    certificates = try table.certificates()
    hasEmptyTable = table.entries.isEmpty
    unknownEntries = table.unknownEntries.count
    mixedEndianEntries = table.unknownEntries.count { $0.isMixedEndian }
  }

  private init(_ certificates: [X509Certificate]) { self.certificates = certificates }

  /// What a file of certificates holds: a certificate table, one certificate in DER, any number in
  /// PEM, or the JSON of Azure's THIM service; or hex digits or Base64 of one of these.
  ///
  /// A table comes first: what is in it may be text, and its rules hold whatever it is.
  /// - Throws: `CERT-TABLE` for a table that breaks its rules, `CERT-SYNTAX` for what is none of
  ///   these; it says what the file looks like instead.
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

  /// nil for what is of no form.
  private static func content(
    _ bytes: [UInt8]
  ) throws(MigrationError) -> SuppliedCertificates? {
    if let table = try table(bytes) { return try Self(table) }
    if isJSON(bytes) { return try certificates(inJSON: bytes).map { Self($0) } }
    guard PEM.isText(bytes) || DERValue.isSequence(bytes) else { return nil }
    return Self(try X509Certificate.read(bytes))
  }

  package mutating func append(_ other: SuppliedCertificates) {
    certificates += other.certificates
    unknownEntries += other.unknownEntries
    mixedEndianEntries += other.mixedEndianEntries
    hasEmptyTable = hasEmptyTable || other.hasEmptyTable
  }

  mutating func append(_ other: [X509Certificate]) { certificates += other }

  /// Why certificate tables gave less than they might have, one clause; nil when there is nothing
  /// to say.
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

  /// nil for what is not meant to be a table; what begins as text or DER is one only if it is
  /// well-formed, and DER, which may read so by its zeros, only if an entry is known.
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

  /// The certificates in an answer of Azure's service for host certificates: `vcekCert`, and the
  /// chain above it. nil for other JSON.
  private static func certificates(
    inJSON bytes: [UInt8]
  ) throws(MigrationError) -> [X509Certificate]? {
    guard let json = try? JSON(parsing: bytes.withoutByteOrderMark) else { return nil }
    let texts = ["vcekCert", "certificateChain"].compactMap { json[$0] }
    guard !texts.isEmpty else { return nil }
    // Of two readers would take different ones.
    if let key = json.repeatedKey {
      throw MigrationError(.certificateSyntax, "\(printable(key)) is there twice")
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
  /// Makes every check that can be made. A certificate that is missing may be one that was passed
  /// over: then the refusal says so.
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
