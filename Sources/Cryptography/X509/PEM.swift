package import Errors
internal import Wire

/// PEM text (RFC 7468): DER between BEGIN and END lines, in Base64.
package enum PEM {
  /// Largest size of the text in bytes.
  package static let limit = 1 << 16

  private static let begin = "-----BEGIN "

  /// True when `bytes` begin as text and contain a BEGIN line. The beginning is checked because
  /// binary files, such as certificate tables, may contain PEM as well.
  package static func isText(_ bytes: [UInt8]) -> Bool {
    bytes.isText && lines(bytes).contains { $0.hasPrefix(begin) }
  }

  /// The DER of every block labelled `label`, in order; text between blocks and blocks with other
  /// labels are ignored.
  /// - Throws: `CERT-SYNTAX` for text longer than `limit`, a block without an END line, or invalid
  ///   Base64.
  package static func blocks(_ label: String, in bytes: [UInt8]) throws(MigrationError)
    -> [[UInt8]]
  {
    guard bytes.count <= limit else {
      throw MigrationError(
        .certificateSyntax, "PEM text is too long", expected: "at most \(limit) bytes",
        got: "\(bytes.count)")
    }
    var found: [[UInt8]] = []
    var open: (label: Substring, base64: [UInt8])?
    for line in lines(bytes) {
      if let block = open {
        if line == "-----END \(block.label)-----" {
          guard let der = Base64.decode(block.base64) else { throw malformed("bad Base64") }
          if block.label == label { found.append(der) }
          open = nil
        } else if line.hasPrefix("-----") {
          throw malformed("block does not end as it begins")
        } else {
          open?.base64 += Array(line.utf8)
        }
      } else if let label = self.label(of: line) {
        open = (label, [])
      }
    }
    guard open == nil else { throw malformed("block has no end") }
    return found
  }

  /// The labels of all blocks, in order.
  static func labels(in bytes: [UInt8]) -> [String] {
    lines(bytes).compactMap { label(of: $0).map(String.init) }
  }

  private static func label(of line: Substring) -> Substring? {
    guard line.hasPrefix(begin), line.hasSuffix("-----") else { return nil }
    return line.dropFirst(begin.count).dropLast("-----".count)
  }

  /// For a message: what PEM text contains instead of a certificate, and how to convert it.
  static func otherContent(_ bytes: [UInt8]) -> Wording {
    guard let line = lines(bytes).first(where: { $0.hasPrefix(begin) }) else { return "no block" }
    switch label(of: line) {
    case "PKCS7", "CMS": return "PKCS #7: openssl pkcs7 -print_certs writes its certificates"
    case "TRUSTED CERTIFICATE": return "TRUSTED CERTIFICATE: openssl x509 writes a plain one"
    case "X509 CRL": return "a revocation list: \(.revocation) takes it"
    case let label?: return Wording(printable(label))
    case nil where line.contains(#"\n"#): return #"line ends that are written as \n"#
    case nil: return "a BEGIN line that does not end with its dashes"
    }
  }

  /// One block, lines of 64 characters, with a newline at the end.
  package static func encode(_ label: String, _ der: [UInt8]) -> String {
    var text = "-----BEGIN \(label)-----\n"
    let base64 = Base64.encode(der)
    for start in stride(from: 0, to: base64.count, by: 64) {
      let line = base64[start..<min(start + 64, base64.count)]
      text += String(decoding: line, as: UTF8.self) + "\n"
    }
    return text + "-----END \(label)-----\n"
  }

  private static func malformed(_ why: String) -> MigrationError {
    MigrationError(.certificateSyntax, "PEM text is not well-formed: \(why)")
  }

  private static func lines(_ bytes: [UInt8]) -> [Substring] {
    let text = String(decoding: bytes.withoutByteOrderMark, as: UTF8.self)
    guard text.isStreamSafe else { return [] }
    return text.split(whereSeparator: \.isNewline).map { line in
      line.drop { $0 == " " || $0 == "\t" }
    }.map { line in
      var line = line
      while let last = line.last, last == " " || last == "\t" { line.removeLast() }
      return line
    }
  }
}
