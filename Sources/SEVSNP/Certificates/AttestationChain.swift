internal import Cryptography
internal import Errors

/// The certificates of one report (leaf, issuer and root), found among those supplied and those
/// trusted.
struct AttestationChain {
  let leaf: X509Certificate?
  let issuer: X509Certificate?
  let anchor: TrustAnchor?

  var certificates: [X509Certificate] { [leaf, issuer, anchor?.root].compactMap { $0 } }

  /// Whether all signatures from the root to the leaf are good.
  func isSound(_ ledger: AttestationLedger) -> Bool {
    [.root, .rootSigned, .issuerSigned, .leafSigned].allSatisfy(ledger.passed)
  }

  /// Makes the checks of a chain. Without `links` there is no complete chain among the
  /// certificates, and the chain holds those of its parts that exist.
  init(
    trust: [TrustAnchor], supplied: [X509Certificate], report: AttestationReport?,
    links: ChainLinks?, _ ledger: inout AttestationLedger
  ) {
    let leaf = ledger.check(.certificate) { () throws(MigrationError) in
      if let links { return links.leaf }
      return try Self.leaf(among: supplied, report: report)
    }
    self.leaf = leaf
    guard let leaf else {
      (issuer, anchor) = (nil, nil)
      return
    }
    let issuer = ledger.check(.issuer) { () throws(MigrationError) in
      if let links { return links.issuer }
      return try Self.issuer(of: leaf, supplied: supplied, trust: trust)
    }
    self.issuer = issuer
    guard let issuer else {
      anchor = nil
      return
    }
    let anchor = ledger.check(.root) { () throws(MigrationError) in
      try Self.refuseStrangers(among: supplied, trust)
      if let links { return links.anchor }
      return try Self.anchor(of: issuer, trust: trust)
    }
    self.anchor = anchor
    ledger.check(.leafSigned) { () throws(MigrationError) in
      try Self.requireSigned(leaf, by: issuer)
    }
    guard let anchor else { return }
    ledger.check(.rootSigned) { () throws(MigrationError) in
      try Self.requireSigned(anchor.root, by: anchor.root)
    }
    ledger.check(.issuerSigned) { () throws(MigrationError) in
      try Self.requireSigned(issuer, by: anchor.root)
    }
    ledger.check(.algorithms) { () throws(MigrationError) in
      for certificate in [anchor.root, issuer, leaf] { try Self.checkAlgorithms(certificate) }
      guard !leaf.isAuthority else { throw Self.wrongKey(leaf, expected: "EC P-384") }
    }
    ledger.check(.authorities) { () throws(MigrationError) in
      try Self.checkAuthority(anchor.root, isRoot: true)
      try Self.checkAuthority(issuer, isRoot: false)
    }
    ledger.check(.names) { () throws(MigrationError) in
      try Self.checkNames(leaf, issuer, anchor, signer: report?.keyInfo.signer)
    }
  }

  /// The first certificate that may be that of the signing key.
  private static func leaf(
    among supplied: [X509Certificate], report: AttestationReport?
  ) throws(MigrationError) -> X509Certificate {
    guard let leaf = ChainLinks.leaves(among: supplied, report: report).first else {
      throw MigrationError(
        .certificateMissing, "no certificate of the key that signed the report",
        in: .certificate,
        expected: report?.wantedCertificate ?? commonName(.vcek))
    }
    return leaf
  }

  static func commonName(_ signer: KeyInfo.Signer) -> String { "SEV-\(signer)" }

  /// A certificate with the name of the leaf's issuer, supplied or known beforehand. One that
  /// signed the leaf is preferred.
  private static func issuer(
    of leaf: X509Certificate, supplied: [X509Certificate], trust: [TrustAnchor]
  ) throws(MigrationError) -> X509Certificate {
    let named = ChainLinks.issuers(among: supplied, trust).filter { $0.subject == leaf.issuer }
    if let issuer = named.first(where: { leaf.isSigned(by: $0) }) ?? named.first { return issuer }
    let isUnderRoot = trust.contains { $0.root.subject == leaf.issuer }
    throw MigrationError(
      isUnderRoot ? .certificateChain : .certificateMissing,
      isUnderRoot
        ? "\(name(of: leaf)) is issued by the root itself"
        : "the issuer of \(name(of: leaf)) is neither supplied nor known",
      in: .certificate, expected: isUnderRoot ? "an intermediate" : "\(leaf.issuer)",
      got: isUnderRoot ? "\(leaf.issuer)" : nil)
  }

  /// Refuses a supplied root that is not trusted, even if there is a trusted root of the same name:
  /// such a root is an attempt to have another chain accepted.
  private static func refuseStrangers(
    among supplied: [X509Certificate], _ trust: [TrustAnchor]
  ) throws(MigrationError) {
    for root in supplied where root.isSelfIssued {
      guard trust.contains(where: { $0.root.keyFingerprint == root.keyFingerprint }) else {
        throw untrusted(root.subject, trust)
      }
      // Nothing else looks at this copy: the chain ends in the trusted one.
      try requireSigned(root, by: root)
    }
  }

  /// The trusted root with the name of the issuer's issuer. One that signed the issuer is
  /// preferred.
  private static func anchor(
    of issuer: X509Certificate, trust: [TrustAnchor]
  ) throws(MigrationError) -> TrustAnchor {
    let named = trust.filter { $0.root.subject == issuer.issuer }
    guard let anchor = named.first(where: { issuer.isSigned(by: $0.root) }) ?? named.first else {
      throw untrusted(issuer.issuer, trust)
    }
    return anchor
  }

  /// The name of a certificate in messages.
  static func name(of certificate: X509Certificate) -> String {
    certificate.subject.commonName ?? "the certificate"
  }

  private static func untrusted(_ name: X509Name, _ trust: [TrustAnchor]) -> MigrationError {
    // If both sides of the refusal were the same name, the message would explain nothing.
    let isNamesake = trust.contains { $0.root.subject == name }
    return MigrationError(
      .certificateRoot,
      isNamesake
        ? "the chain's root has a trusted root's name and another key"
        : "the chain's root is not trusted: if it is to be, name it with \(.trust)",
      in: .certificate, expected: "\(trust.map(\.description).joined(separator: " or "))",
      got: isNamesake ? "another key of \(name)" : "\(name)")
  }

  private static func requireSigned(
    _ certificate: X509Certificate, by issuer: X509Certificate
  ) throws(MigrationError) {
    guard certificate.isSigned(by: issuer) else {
      throw MigrationError(
        .certificateChain,
        "signature on \(name(of: certificate)) is not that of \(name(of: issuer))",
        in: .certificate, expected: "a signature of \(name(of: issuer))")
    }
  }

  private static func checkAlgorithms(_ certificate: X509Certificate) throws(MigrationError) {
    guard certificate.signatureAlgorithm == .rsaPSSSHA384 else {
      throw MigrationError(
        .certificateAlgorithm, "\(name(of: certificate)) is signed in another way than AMD's",
        in: .certificate, expected: "\(X509SignatureAlgorithm.rsaPSSSHA384)",
        got: "\(certificate.signatureAlgorithm)")
    }
    guard certificate.namesOneAlgorithm else {
      throw MigrationError(
        .certificateAlgorithm,
        "\(name(of: certificate)) names another signature algorithm inside than outside",
        in: .certificate)
    }
    switch certificate.publicKey {
    case .rsa(bits: 4096), .p384: break
    default: throw wrongKey(certificate, expected: "RSA 4096 or EC P-384")
    }
  }

  private static func wrongKey(_ certificate: X509Certificate, expected: String) -> MigrationError {
    MigrationError(
      .certificateAlgorithm, "\(name(of: certificate)) has another kind of key than AMD's",
      in: .certificate, expected: expected, got: "\(certificate.publicKey)")
  }

  /// RFC 5280: a critical basicConstraints extension with CA, the keyCertSign usage, and for an
  /// intermediate a path length of 0.
  private static func checkAuthority(
    _ certificate: X509Certificate, isRoot: Bool
  ) throws(MigrationError) {
    let name = name(of: certificate)
    if let repeated = certificate.repeatedExtension {
      throw MigrationError(
        .certificateExtension, "extension of \(name) occurs twice", in: .certificate,
        got: repeated)
    }
    let constraints = try certificate.basicConstraints()
    guard certificate.isAuthority, let constraints, constraints.isCA,
      certificate["2.5.29.19"]?.isCritical == true, isRoot || constraints.pathLength == 0
    else {
      throw MigrationError(
        .certificateExtension, "\(name) is not a certificate authority", in: .certificate,
        expected: "critical basicConstraints with CA" + (isRoot ? "" : " and path length 0"))
    }
    guard try certificate.maySignCertificates() else {
      throw MigrationError(
        .certificateExtension, "\(name) may not sign certificates", in: .certificate,
        expected: "keyUsage keyCertSign")
    }
    // basicConstraints and keyUsage were read. Any other critical extension may forbid this use.
    let read = ["2.5.29.19", "2.5.29.15"]
    if let unread = certificate.extensions.first(where: {
      $0.isCritical && !read.contains($0.identifier)
    }) {
      throw MigrationError(
        .certificateExtension, "\(name) has a critical extension that is not known",
        in: .certificate, got: unread.identifier)
    }
  }

  /// Checks names: each common name follows from the root's, and all other fields equal the root's.
  /// Under AMD's roots the location of the revocation list is checked too.
  private static func checkNames(
    _ leaf: X509Certificate, _ issuer: X509Certificate, _ anchor: TrustAnchor,
    signer: KeyInfo.Signer?
  ) throws(MigrationError) {
    for certificate in [anchor.root, issuer, leaf] where certificate.version != 3 {
      throw wrongName(
        certificate, "\(name(of: certificate)) is not X.509 version 3", "3",
        "\(certificate.version)")
    }
    let isVLEK = leaf.issuer.commonName == "SEV-VLEK-\(anchor.line)"
    let issuerName = (isVLEK ? "SEV-VLEK-" : "SEV-") + anchor.line
    let expected = [
      (anchor.root, "ARK-\(anchor.line)"), (issuer, issuerName),
      (leaf, commonName(isVLEK ? .vlek : .vcek)),
    ]
    let others = anchor.root.subject.attributes.filter { $0.type != "CN" }
    for (certificate, name) in expected {
      guard certificate.subject.commonName == name,
        certificate.subject.attributes.filter({ $0.type != "CN" }) == others
      else {
        let fields = others.map { "\($0.type)=\($0.text)" } + ["CN=\(name)"]
        throw wrongName(
          certificate, "certificate is named otherwise", fields.joined(separator: ", "),
          "\(certificate.subject)")
      }
    }
    if let signer, (signer == .vlek) != isVLEK {
      throw wrongName(
        leaf, "certificate is of another kind of key than the report names", commonName(signer),
        leaf.subject.commonName)
    }
    guard let product = anchor.product else { return }
    let service = "https://kdsintf.amd.com/"
    for (certificate, kind) in [(anchor.root, "vcek"), (issuer, isVLEK ? "vlek" : "vcek")] {
      let location = "\(service)\(kind)/v1/\(product.rawValue)/crl"
      let found = try certificate.revocationListLocations()
      guard found == [location] else {
        throw wrongName(
          certificate, "certificate names another revocation list", location,
          found.joined(separator: " "))
      }
    }
  }

  private static func wrongName(
    _ certificate: X509Certificate, _ what: String, _ expected: String, _ got: String?
  ) -> MigrationError {
    MigrationError(
      .certificateName, what, in: .certificate, expected: expected, got: got)
  }
}
