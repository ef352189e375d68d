internal import Cryptography

/// A leaf, its issuer and a trusted root, each signed by the next.
///
/// Certificates come in any order, and several may have the same name and key: renewed ones, ones
/// of another TCB, or ones made to mislead a reader. The signatures decide, never the order.
struct ChainLinks {
  let leaf: X509Certificate
  let issuer: X509Certificate
  let anchor: TrustAnchor

  /// The certificates in a fixed order, each once, so that the first match does not depend on the
  /// order in which they came.
  static func ordered(_ certificates: [X509Certificate]) -> [X509Certificate] {
    var found: [X509Certificate] = []
    for certificate in certificates.sorted(by: { $0.der.lexicographicallyPrecedes($1.der) })
    where found.last != certificate { found.append(certificate) }
    return found
  }

  /// Certificates that may be that of the signing key: those of the kind of key that the report
  /// names whose key made its signature; if there are none, all of that kind; if there are none,
  /// all that are not of an authority.
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

  /// Authorities that are not roots, supplied or known beforehand.
  static func issuers(
    among supplied: [X509Certificate], _ trust: [TrustAnchor]
  ) -> [X509Certificate] {
    ordered(trust.flatMap(\.intermediates) + supplied.filter { $0.isAuthority && !$0.isSelfIssued })
  }

  /// Every complete chain from a certificate that may be that of the signing key. Issuers are
  /// checked against the roots first, because roots have signed only few of them, whatever a host
  /// supplies.
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
