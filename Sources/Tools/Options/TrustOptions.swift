package import ArgumentParser
internal import Cryptography
package import Errors
internal import FileIO
internal import Import
package import SEVSNP
package import SVSM

/// The trust anchors with which a tool checks an attestation report.
package struct TrustOptions: ParsableArguments {
  @Option(
    name: .customLong("trust"),
    help: ArgumentHelp(
      "Trust the root certificates in this file (PEM or DER; may be repeated).",
      discussion: """
        AMD's own roots are built in. A model's root must be named, except where a stream is only shown \
        or compared.
        """,
      valueName: "root"),
    completion: .file(extensions: ["pem", "der", "crt"]))
  package var trustedFiles: [String] = []

  package init() {}

  /// AMD's root certificates and the named ones.
  /// - Throws: see `TrustAnchor.anchors`.
  package func anchors() throws(MigrationError) -> [TrustAnchor] {
    try TrustAnchor.anchors(namedIn: trustedFiles)
  }

  /// The trust settings for verification at the present time.
  /// - Parameters:
  ///   - policy: demands in addition to those of every migration.
  ///   - revocation: lists that certificate chains are checked against.
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
