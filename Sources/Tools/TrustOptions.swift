package import ArgumentParser
internal import Cryptography
package import Errors
internal import FileIO
internal import Glibc
package import SEVSNP
package import SVSM

/// Whom a tool believes when it checks an attestation report.
package struct TrustOptions: ParsableArguments {
  @Option(
    name: .customLong("trust"),
    help: ArgumentHelp(
      "Trust the root certificates in this file (PEM or DER; may be repeated).",
      discussion: "AMD's own roots are built in. A model's root must be named.",
      valueName: "root"),
    completion: .file(extensions: ["pem", "der", "crt"]))
  package var trustedFiles: [String] = []

  package init() {}

  /// Bytes a file of certificates may have.
  static let fileLimit = 1 << 20

  /// AMD's roots and those named.
  /// - Throws: `INPUT-OPEN`, `INPUT-KIND`, `IO-READ`; `CERT-SYNTAX`; `CERT-ROOT` when there is no
  ///   root among the certificates named.
  package func anchors() throws(MigrationError) -> [TrustAnchor] {
    var certificates: [X509Certificate] = []
    for path in trustedFiles {
      let bytes = try readSmallFile(path, limit: Self.fileLimit)
      do {
        certificates += try X509Certificate.read(bytes)
      } catch {
        throw error.within(.file(path))
      }
    }
    guard !certificates.isEmpty else { return TrustAnchor.amd }
    return TrustAnchor.amd + (try TrustAnchor.named(certificates))
  }

  /// The same, for certificates that are valid now.
  /// - Parameters:
  ///   - policy: demands beside those of every migration.
  ///   - revocation: lists that chains are held against.
  /// - Throws: see `anchors`, and `RevocationOptions.lists`.
  package func load(
    demanding policy: AttestationPolicy = AttestationPolicy(),
    _ revocation: RevocationOptions? = nil
  ) throws(MigrationError) -> Trust {
    Trust(
      anchors: try anchors(), time: Self.now, policy: policy,
      revocationLists: try revocation?.lists() ?? [])
  }

  /// Seconds since 1970.
  static var now: Int64 { Int64(time(nil)) }
}
