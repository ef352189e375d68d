package import Cryptography
package import Errors

/// A root that is trusted, with the intermediates known under it.
///
/// A chain is accepted only under a root named here: a peer's own root, sent along, proves
/// nothing. AMD's roots are built in; any other, a model's, must be named.
package struct TrustAnchor: Equatable, Sendable {
  /// The product whose genuine AMD root this is; nil for a named root, which says nothing about
  /// hardware.
  package let product: Product?
  package let root: X509Certificate
  package let intermediates: [X509Certificate]

  /// The part of its common name after "ARK-": intermediates are named after it.
  package var line: String {
    let name = root.subject.commonName ?? ""
    return name.hasPrefix("ARK-") ? String(name.dropFirst(4)) : name
  }

  /// The product its common name speaks of, where it is one that AMD gives its roots: "ARK-Genoa". A
  /// genuine root's own; nil for a model's, whose names are its maker's.
  package var namedProduct: Product? {
    product ?? (root.subject.commonName == "ARK-\(line)" ? Product(productName: line) : nil)
  }

  /// For people: "AMD Milan", or the common name of a named root.
  package var description: String {
    if let product { return "AMD \(product.rawValue)" }
    return root.subject.commonName ?? "root without a name"
  }

  /// AMD's roots for Milan, Genoa and Turin, with the two intermediates of each: public data, as AMD's key
  /// distribution service gives them out. `Fixtures/attestation/SOURCES.md` names the source and the checks made.
  package static let amd: [TrustAnchor] = [
    TrustAnchor(product: .milan, pem: PackageResources.amd_milan_pem),
    TrustAnchor(product: .genoa, pem: PackageResources.amd_genoa_pem),
    TrustAnchor(product: .turin, pem: PackageResources.amd_turin_pem),
  ].compactMap { $0 }

  /// nil when a text does not parse: no root rather than another one. The tests count them.
  /// - Parameter pem: the root, then its intermediates.
  init?(product: Product?, pem: [UInt8]) {
    guard let certificates = try? X509Certificate.read(pem), let root = certificates.first else {
      return nil
    }
    self.product = product
    self.root = root
    intermediates = Array(certificates.dropFirst())
  }

  private init(product: Product?, root: X509Certificate, intermediates: [X509Certificate]) {
    self.product = product
    self.root = root
    self.intermediates = intermediates
  }

  /// The roots among `certificates`, each with its intermediates: what a person names as trusted.
  /// A root of AMD's is recognised by its key and treated as the built-in one.
  /// - Throws: `CERT-ROOT` when none of them is issued by itself.
  package static func named(
    _ certificates: [X509Certificate]
  ) throws(MigrationError) -> [TrustAnchor] {
    let roots = certificates.filter(\.isSelfIssued)
    guard !roots.isEmpty else {
      throw MigrationError(
        .certificateRoot, "no root certificate is named",
        expected: "a certificate issued by itself")
    }
    return roots.map { root in
      let below = certificates.filter { certificate in
        !certificate.isSelfIssued && certificate.issuer == root.subject
      }
      let genuine = amd.first { $0.root.keyFingerprint == root.keyFingerprint }
      return TrustAnchor(
        product: genuine?.product, root: genuine?.root ?? root,
        intermediates: below + (genuine?.intermediates ?? []))
    }
  }
}

extension X509Certificate {
  /// Issued under its own name, as roots are.
  var isSelfIssued: Bool { subject == issuer }
  /// An authority's by its key: endorsement keys are elliptic.
  var isAuthority: Bool { if case .rsa = publicKey { true } else { false } }
}
