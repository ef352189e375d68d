internal import Cryptography
package import Errors
package import Wire

/// A destination's signed promise that it will never restore a guest, so that the source may resume
/// its own.
///
/// The AMD document defines no abort; this is an addition of this project.
package struct AbortToken: Sendable, Hashable {
  /// The layout of an abort token. The offer's key signs `Label.abort`, followed by the fields
  /// before the signature.
  package struct Layout: WireRecord {
    package static let name = "abort"

    /// "SVSMABRT".
    package var magic: WireBytes<8>
    /// 1.
    package var version: BE16
    /// Zero.
    package var reserved: BE16
    /// SHA-384 of the destination's offer.
    package var offerDigest: WireBytes<48>
    /// SHA-384 of the transfer data that is given up; zero for any session.
    package var session: WireBytes<48>
    package var signatureR: WireBytes<48>
    package var signatureS: WireBytes<48>
  }

  static let magic = Array("SVSMABRT".utf8)
  private static let version: UInt16 = 1

  /// The token's bytes.
  package let encoded: [UInt8]
  /// SHA-384 of the offer of the destination that gave up: 48 bytes.
  package let offerDigest: [UInt8]
  /// SHA-384 of the transfer data that the token names; nil when it covers any session.
  package let session: [UInt8]?

  /// Decodes a token. Nothing is verified yet.
  /// - Throws: `ABORT-SYNTAX` with the offset in the file.
  package init(_ bytes: [UInt8]) throws(MigrationError) {
    guard bytes.count == Layout.size else {
      throw MigrationError(
        .abortSyntax, "abort has a wrong length", in: .abort,
        at: UInt64(min(bytes.count, Layout.size)), expected: "\(Layout.size) bytes",
        got: "\(bytes.count)")
    }
    let record = Layout(at: 0, of: bytes.span)
    guard record.magic.array == Self.magic else {
      throw Self.refusal(.abortSyntax, "not an abort", \.magic)
    }
    let version = record.version.value
    guard version == Self.version else {
      throw Self.refusal(.abortSyntax, "unknown version of an abort", \.version, got: "\(version)")
    }
    guard record.reserved.isZero else {
      throw Self.refusal(.abortSyntax, "reserved bytes are not zero", \.reserved)
    }
    offerDigest = record.offerDigest.array
    session = record.session.isZero ? nil : record.session.array
    encoded = bytes
  }

  /// - Parameters:
  ///   - session: SHA-384 of the transfer data that the token names; nil for any session.
  ///   - sign: signs a message with the offer's key and returns r and s, 48 bytes each.
  init(
    offerDigest: [UInt8], session: [UInt8]?,
    sign: ([UInt8]) throws(MigrationError) -> [UInt8]
  ) throws(MigrationError) {
    var record = Layout()
    record.magic = WireBytes(Self.magic)
    record.version = BE16(Self.version)
    record.offerDigest = WireBytes(offerDigest)
    if let session { record.session = WireBytes(session) }
    let signed = record.bytes(before: \.signatureR)
    try self.init(signed + sign(Label.abort + signed))
  }

  /// Whether the key pair of `publicKey` (97 bytes, uncompressed point) made the token's signature.
  package func isSigned(by publicKey: [UInt8]) throws(MigrationError) -> Bool {
    let signed = Layout.offset(of: \.signatureR)
    guard let signature = P384.Signature(raw: Array(encoded[signed...])) else { return false }
    return try P384.PublicKey(publicKey).verifyLowS(
      signature, message: Label.abort + encoded[..<signed])
  }

  /// A refusal that names a field of the token.
  static func refusal<Field: WireField>(
    _ code: ErrorCode, _ what: String, _ field: KeyPath<Layout, Field>, got: String? = nil
  ) -> MigrationError {
    MigrationError(code, what, in: .abort, at: Layout.offset(of: field, from: 0), got: got)
  }
}
