internal import Cryptography

/// A leaf, its issuer and a trusted root, each of which signed the one before it.
///
/// Certificates come in any order, and several may be of one name and key: renewed, of another TCB, or
/// made to lead a reader astray. Who signed whom decides, and never which came first.
struct ChainLinks {
  let leaf: X509Certificate
  let issuer: X509Certificate
  let anchor: TrustAnchor

  /// Certificates in an order of their own, each once: whoever takes the first takes the same one
  /// whatever order they came in.
  static func ordered(_ certificates: [X509Certificate]) -> [X509Certificate] {
    var found: [X509Certificate] = []
    for certificate in certificates.sorted(by: { $0.der.lexicographicallyPrecedes($1.der) })
    where found.last != certificate { found.append(certificate) }
    return found
  }

  /// Those that may be the signing key's: of the kind of key that the report names, those that made its
  /// signature, else all; where none is of that kind, all that are no authority's.
  static func leaves(
    among supplied: [X509Certificate], report: AttestationReport?
  ) -> [X509Certificate] {
    let leaves = supplied.filter { !$0.isAuthority }
    let name = report?.keyInfo.signer.map(AttestationChain.commonName)
    let named = leaves.filter { $0.subject.commonName == name }
    let signing = named.filter { leaf in
      if let report, case .p384(let point) = leaf.publicKey {
        report.isSigned(by: point)
      } else {
        false
      }
    }
    return [signing, named, leaves].first { !$0.isEmpty } ?? []
  }

  /// Authorities that are no roots, supplied or known beforehand.
  static func issuers(
    among supplied: [X509Certificate], _ trust: [TrustAnchor]
  ) -> [X509Certificate] {
    ordered(trust.flatMap(\.intermediates) + supplied.filter { $0.isAuthority && !$0.isSelfIssued })
  }

  /// Every whole chain of a certificate that may be the signing key's. Issuers are held against the
  /// roots first: of those that a root signed there are few, whatever a host supplies.
  static func all(
    trust: [TrustAnchor], supplied: [X509Certificate], report: AttestationReport?
  ) -> [ChainLinks] {
    let leaves = leaves(among: supplied, report: report)
    var sound: [(issuer: X509Certificate, anchor: TrustAnchor)] = []
    for issuer in issuers(among: supplied, trust)
    where leaves.contains(where: { $0.issuer == issuer.subject }) {
      for anchor in trust
      where anchor.root.subject == issuer.issuer && issuer.isSigned(by: anchor.root) {
        sound.append((issuer, anchor))
      }
    }
    return leaves.flatMap { leaf in
      sound.filter { $0.issuer.subject == leaf.issuer && leaf.isSigned(by: $0.issuer) }
        .map { ChainLinks(leaf: leaf, issuer: $0.issuer, anchor: $0.anchor) }
    }
  }
}
