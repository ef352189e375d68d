package import Errors
internal import Wire

/// Private key files as the `openssl` command writes them.
package enum X509KeyFile {
  private static let curve = "1.3.132.0.34"

  /// The scalar of a P-384 private key, 48 bytes big-endian, from PKCS #8 (`PRIVATE KEY`) or
  /// SEC 1 (`EC PRIVATE KEY`), in PEM or DER, unencrypted.
  /// - Throws: `CERT-SYNTAX`.
  package static func p384Scalar(_ bytes: [UInt8]) throws(MigrationError) -> [UInt8] {
    var der = bytes
    if PEM.isText(bytes) {
      let found = try PEM.blocks("PRIVATE KEY", in: bytes) + PEM.blocks("EC PRIVATE KEY", in: bytes)
      guard found.count == 1 else { throw malformed("not one private key") }
      der = found[0]
    }
    let parts = try DERValue(der).children()
    // PKCS #8 is version 0, algorithm, key; SEC 1 is version 1, scalar, curve, point.
    guard parts.first?.smallInteger == 0 else { return try scalar(parts) }
    guard parts.count >= 3, parts[2].tag == 0x04 else { throw malformed("not PKCS #8") }
    let algorithm = try parts[1].children()
    guard algorithm.count == 2, algorithm[0].objectIdentifier == "1.2.840.10045.2.1",
      algorithm[1].objectIdentifier == curve
    else { throw malformed("not an EC P-384 key") }
    return try scalar(DERValue(parts[2].content).children())
  }

  private static func scalar(_ parts: [DERValue]) throws(MigrationError) -> [UInt8] {
    guard parts.count >= 2, parts[0].smallInteger == 1, parts[1].tag == 0x04,
      parts[1].content.count == 48
    else { throw malformed("not an EC P-384 key") }
    for field in parts.dropFirst(2) where field.tag == 0xA0 {
      guard try DERValue(field.content).objectIdentifier == curve else {
        throw malformed("not an EC P-384 key")
      }
    }
    return parts[1].content
  }

  private static func malformed(_ why: String) -> MigrationError {
    MigrationError(.certificateSyntax, "private key is not well-formed: \(why)")
  }
}
