internal import Errors
internal import Wire

/// Guesses, for messages, what bytes are that should be a certificate in DER.
extension DERValue {
  /// True when `bytes` begin like a SEQUENCE of more than 127 bytes, as every certificate and key
  /// does, but no text and no certificate table.
  package static func isSequence(_ bytes: [UInt8]) -> Bool {
    bytes.count >= 2 && bytes[0] == 0x30 && bytes[1] > 0x80
  }

  /// A description of `bytes`, which libcrypto does not accept as a certificate; nil when they are
  /// not recognized.
  static func otherContent(_ bytes: [UInt8]) -> Wording? {
    let span = bytes.span
    var cursor = ByteCursor(span)
    guard let tag: UInt8 = try? cursor.read(), tag == 0x30, let count = try? length(&cursor) else {
      return nil
    }
    guard cursor.remaining >= count else {
      return "the first \(bytes.count) of \(Int(cursor.offset) + count) bytes"
    }
    guard let content = try? cursor.takeArray(count) else { return nil }
    if cursor.remaining > 0 { return afterValue(Array(bytes.suffix(cursor.remaining))) }
    guard let parts = try? list(content), let first = parts.first else { return nil }
    if first.objectIdentifier == "1.2.840.113549.1.7.2" {
      return "PKCS #7: openssl pkcs7 -inform DER -print_certs writes its certificates"
    }
    // The signed part of a revocation list has version, algorithm, issuer, time. A certificate has
    // its serial number before the algorithm, so its fourth element is not a time.
    if let body = try? first.children(), body.count > 3, [0x17, 0x18].contains(body[3].tag) {
      return "a revocation list: \(.revocation) takes it"
    }
    return nil
  }

  private static func afterValue(_ rest: [UInt8]) -> Wording {
    if isSequence(rest) { return "several, one after the other: give each a file, or PEM" }
    let zeros = rest.allSatisfy { $0 == 0 } ? "zero " : ""
    return "\(rest.count) \(zeros)byte\(rest.count == 1 ? "" : "s") after it"
  }
}
