package import ArgumentParser
package import Cryptography
package import Errors
internal import FileIO
internal import Import

/// The option `--crl`: revocation lists that certificate chains are checked against.
package struct RevocationOptions: ParsableArguments {
  @Option(
    name: .customLong("crl"),
    help: ArgumentHelp(
      "Refuse a chain with an authority that this revocation list names (DER or PEM; may be "
        + "repeated).",
      discussion: """
        There must be one of the root of each chain that is checked. AMD's are at \
        https://kdsintf.amd.com/vcek/v1/PRODUCT/crl and vlek/v1/PRODUCT/crl. Without this option \
        revocation is not checked.
        """,
      valueName: "list"),
    completion: .file(extensions: ["crl", "der", "pem"]))
  package var listFiles: [String] = []

  package init() {}

  /// - Throws: `INPUT-OPEN`, `INPUT-KIND`, `IO-READ`; `CERT-SYNTAX`.
  package func lists() throws(MigrationError) -> [X509RevocationList] {
    try X509RevocationList.lists(inFiles: listFiles)
  }
}
