package import Cryptography
package import Errors

/// A model of one machine's identity: a chip's endorsement key with its certificates.
///
/// On real hardware the key never leaves the security processor. Here it is a file, so a report
/// made with it shows the mechanics of attestation and proves nothing.
package struct Platform: Sendable {
  package let ark: X509Certificate
  package let ask: X509Certificate
  package let vcek: X509Certificate
  /// The contents of AMD's extensions in the chip's certificate.
  package let endorsement: EndorsementExtensions
  /// The private key of the chip's endorsement certificate.
  package let endorsementKey: P384.PrivateKey

  /// - Parameters:
  ///   - ark: the root certificate, in DER or PEM.
  ///   - ask: the intermediate certificate, likewise.
  ///   - vcek: the chip's certificate, likewise.
  ///   - key: the VCEK's private key, PKCS #8 or SEC 1, in PEM or DER.
  /// - Throws: `PLATFORM-SYNTAX` when a part does not parse or the key is not the certificate's;
  ///   `CERT-EXTENSION`, `REPORT-PRODUCT` when the certificate is not shaped like AMD's.
  package init(
    ark: [UInt8], ask: [UInt8], vcek: [UInt8], key: [UInt8]
  ) throws(MigrationError) {
    self.ark = try Self.certificate(ark, "ark")
    self.ask = try Self.certificate(ask, "ask")
    self.vcek = try Self.certificate(vcek, "vcek")
    endorsement = try EndorsementExtensions(self.vcek, signer: .vcek)
    do throws(MigrationError) {
      self.endorsementKey = try P384.PrivateKey(X509KeyFile.p384Scalar(key))
    } catch {
      throw MigrationError(.platformSyntax, error.what, in: .endorsementKey)
    }
    guard self.vcek.publicKey == .p384(self.endorsementKey.publicKey.bytes) else {
      throw MigrationError(
        .platformSyntax, "private key does not belong to the certificate", in: .endorsementKey)
    }
  }

  private static func certificate(
    _ bytes: [UInt8], _ name: String
  ) throws(MigrationError) -> X509Certificate {
    do throws(MigrationError) {
      let found = try X509Certificate.read(bytes)
      guard found.count == 1 else {
        throw MigrationError(.platformSyntax, "not one certificate", got: "\(found.count)")
      }
      return found[0]
    } catch {
      throw MigrationError(.platformSyntax, error.what, in: .file(name))
    }
  }

  /// Number of model chips that are built in.
  package static let modelChips = 2

  /// A built-in chip. Both chips are under one root and differ in key and chip identifier.
  ///
  /// THEIR KEYS ARE PUBLIC AND PROTECT NOTHING. They take the place of AMD's keys, so that every
  /// step of a migration can be run and tested without hardware. Anyone who has `Model/` can sign
  /// with them. `Fixtures/model-platform/make` generates that folder.
  /// - Parameter chip: 0 or 1.
  /// - Throws: `PLATFORM-SYNTAX` for another number.
  package static func model(chip: Int) throws(MigrationError) -> Platform {
    let chips = [
      (PackageResources.model_chip_0_pem, PackageResources.model_chip_0_published_key_pem),
      (PackageResources.model_chip_1_pem, PackageResources.model_chip_1_published_key_pem),
    ]
    guard chips.indices.contains(chip) else {
      throw MigrationError(.platformSyntax, "no such model chip", got: "\(chip)")
    }
    return try Platform(
      ark: PackageResources.model_ark_pem, ask: PackageResources.model_ask_pem,
      vcek: chips[chip].0, key: chips[chip].1)
  }

  /// Leaf, intermediate and root: the certificates supplied with a report.
  package var certificates: [X509Certificate] { [vcek, ask, ark] }

  /// The same certificates as a GHCB certificate table in DER.
  package var certificateTable: CertificateTable {
    CertificateTable([.init(.vcek, vcek.der), .init(.ask, ask.der), .init(.ark, ark.der)])
  }

  /// CHIP_ID of the chip's reports: its identifier, padded with zeros to 64 bytes.
  package var chipID: [UInt8] {
    let identifier = endorsement.chipIdentifier ?? []
    return identifier + [UInt8](repeating: 0, count: max(64 - identifier.count, 0))
  }

  /// A CPU of the chip's product, in stepping B1 or a common one.
  package var cpu: CPUIdentity {
    switch endorsement.product {
    case .milan: CPUIdentity(family: 0x19, model: 0x01, stepping: 1)
    case .genoa: CPUIdentity(family: 0x19, model: 0x11, stepping: 1)
    case .turin: CPUIdentity(family: 0x1A, model: 0x02, stepping: 1)
    case .venice: CPUIdentity(family: 0x1A, model: 0x50, stepping: 0)
    }
  }
}

extension TrustAnchor {
  /// The model root that comes with the tools. Trusting it proves nothing, because its key is
  /// public.
  package static let model: [TrustAnchor] = [
    TrustAnchor(
      product: nil,
      pem: PackageResources.model_ark_pem + PackageResources.model_ask_pem
        + PackageResources.model_asvk_pem)
  ].compactMap { $0 }
}
