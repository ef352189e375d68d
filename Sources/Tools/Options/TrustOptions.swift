package import ArgumentParser
internal import Cryptography
package import Errors
internal import FileIO
internal import Import
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

  /// AMD's roots and those named.
  /// - Throws: see `TrustAnchor.anchors`.
  package func anchors() throws(MigrationError) -> [TrustAnchor] {
    try TrustAnchor.anchors(namedIn: trustedFiles)
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
      anchors: try anchors(), time: WallClock.now, policy: policy,
      revocationLists: try revocation?.lists() ?? [])
  }
}
