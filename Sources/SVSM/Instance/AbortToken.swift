internal import Cryptography
package import Errors
package import Wire

/// A destination's signed promise that it will never restore a guest, so that the source may have its
/// own back.
///
/// The source document has no abort; this is our addition.
package struct AbortToken: Sendable, Hashable {
  /// A token, big-endian.
  ///
  ///     offset  size  field
  ///          0     8  magic         "SVSMABRT"
  ///          8     2  version       1
  ///         10     2  reserved      zero
  ///         12    48  offer_digest  SHA-384 of the destination's offer
  ///         60    48  session       SHA-384 of the transfer data given up; zero for whatever came
  ///        108    48  signature_r   by the offer's key, over label and the 108 bytes before
  ///        156    48  signature_s
  package static let layout = RecordLayout(
    "abort",
    [
      "magic": 8, "version": 2, "reserved": 2, "offer_digest": 48, "session": 48,
      "signature_r": 48, "signature_s": 48,
    ])

  static let magic = Array("SVSMABRT".utf8)
  /// Bytes that are signed.
  static let signedSize = 108
  /// The session of a token that names none.
  static let noSession = [UInt8](repeating: 0, count: 48)

  /// The token's bytes.
  package let encoded: [UInt8]
  /// SHA-384 of the offer of the destination that gave up: 48 bytes.
  package let offerDigest: [UInt8]
  /// SHA-384 of the transfer data the token names; nil when it names none.
  package let session: [UInt8]?

  /// Decodes a token. Nothing is verified yet.
  /// - Throws: `ABORT-SYNTAX` with the offset in the file.
  package init(_ bytes: [UInt8]) throws(MigrationError) {
    func refusal(_ what: String, at offset: UInt64, _ got: String? = nil) -> MigrationError {
      MigrationError(.abortSyntax, what, in: .abort, at: offset, got: got)
    }
    guard bytes.count == Self.layout.size else {
      throw MigrationError(
        .abortSyntax, "abort has another length", in: .abort,
        at: UInt64(min(bytes.count, Self.layout.size)), expected: "\(Self.layout.size) bytes",
        got: "\(bytes.count)")
    }
    let span = bytes.span
    var cursor = ByteCursor(span)
    guard try cursor.takeArray(8) == Self.magic else { throw refusal("not an abort", at: 0) }
    let version = try cursor.read(UInt16.self)
    guard version == 1 else { throw refusal("unknown version of an abort", at: 8, "\(version)") }
    guard try cursor.read(UInt16.self) == 0 else {
      throw refusal("reserved bytes are not zero", at: 10)
    }
    offerDigest = try cursor.takeArray(48)
    let session = try cursor.takeArray(48)
    self.session = session == Self.noSession ? nil : session
    encoded = bytes
  }

  /// - Parameter sign: signs with the offer's key: r and s, 48 bytes each.
  init(
    offerDigest: [UInt8], session: [UInt8],
    sign: ([UInt8]) throws(MigrationError) -> [UInt8]
  ) throws(MigrationError) {
    var bytes = Self.magic
    bytes.append(bigEndian: UInt16(1))
    bytes.append(bigEndian: UInt16(0))
    bytes += offerDigest + session
    try self.init(bytes + sign(Label.abort + bytes))
  }

  /// Whether the key at `publicKey` (97 bytes, uncompressed) signed it.
  func isSigned(by publicKey: [UInt8]) throws(MigrationError) -> Bool {
    guard let signature = P384.Signature(raw: Array(encoded[Self.signedSize...])) else {
      return false
    }
    return try P384.PublicKey(publicKey).verifyLowS(
      signature, message: Label.abort + encoded[..<Self.signedSize])
  }

  /// A refusal of the field `name`.
  func refusal(_ code: ErrorCode, _ what: String, _ name: String) -> MigrationError {
    let field = Self.layout.fields.first { $0.name == name }
    return MigrationError(code, what, in: .abort, at: field.map { UInt64($0.offset) })
  }
}
