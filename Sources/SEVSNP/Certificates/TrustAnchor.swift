package import Cryptography
package import Errors

/// A trusted root, with the intermediates known under it.
///
/// A chain is accepted only under a trust anchor: a root that a peer sends along proves nothing.
/// AMD's roots are built in; any other root, such as a model's, must be named by the user.
package struct TrustAnchor: Equatable, Sendable {
  /// The product whose genuine AMD root this is; nil for a root that the user named, which proves
  /// nothing about hardware.
  package let product: Product?
  package let root: X509Certificate
  package let intermediates: [X509Certificate]

  /// The part of the root's common name after "ARK-". The names of intermediates contain it.
  package var line: String {
    let name = root.subject.commonName ?? ""
    return name.hasPrefix("ARK-") ? String(name.dropFirst(4)) : name
  }

  /// The product in the root's common name, if AMD has a root of that name: "ARK-Genoa". For a
  /// genuine root it is its own product; nil for a model's root, whose name its maker chooses.
  package var namedProduct: Product? {
    product ?? (root.subject.commonName == "ARK-\(line)" ? Product(productName: line) : nil)
  }

  /// Text for people: "AMD Milan", or the common name of a named root.
  package var description: String {
    if let product { return "AMD \(product.rawValue)" }
    return root.subject.commonName ?? "root without a name"
  }

  /// AMD's roots for Milan, Genoa and Turin, with the two intermediates of each. They are public
  /// data, as AMD's key distribution service provides them. `Fixtures/attestation/SOURCES.md` names
  /// the source and the checks made.
  package static let amd: [TrustAnchor] = [
    TrustAnchor(product: .milan, pem: PackageResources.amd_milan_pem),
    TrustAnchor(product: .genoa, pem: PackageResources.amd_genoa_pem),
    TrustAnchor(product: .turin, pem: PackageResources.amd_turin_pem),
  ].compactMap { $0 }

  /// nil when the PEM text does not parse, so that there is no root rather than another one. The
  /// tests count the roots.
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

  /// The roots among `certificates`, each with its intermediates, as trust anchors that the user
  /// names. A root of AMD is recognised by its key and treated as the built-in one.
  /// - Throws: `CERT-ROOT` when none of the certificates is self-issued.
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
  /// Whether it is issued under its own name, as roots are.
  var isSelfIssued: Bool { subject == issuer }
  /// Whether it is an authority's, by the type of its key: the keys of authorities are RSA, and
  /// endorsement keys are elliptic-curve keys.
  var isAuthority: Bool { if case .rsa = publicKey { true } else { false } }
}
