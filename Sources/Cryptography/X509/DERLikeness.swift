internal import Errors
internal import Wire

/// What stands where one certificate in DER should, for messages.
extension DERValue {
  /// True when `bytes` begin as a SEQUENCE of more than 127 bytes: no text and no table does, and
  /// every certificate and key.
  package static func isSequence(_ bytes: [UInt8]) -> Bool {
    bytes.count >= 2 && bytes[0] == 0x30 && bytes[1] > 0x80
  }

  /// What `bytes` are that libcrypto does not take for a certificate; nil when nothing is known.
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
    // A list's body is version, algorithm, issuer, time; a certificate has its number first, and
    // two times in the fourth place.
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
