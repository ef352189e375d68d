internal import CLibCrypto
internal import Errors

/// Owns one libcrypto `X509_CRL`, and returns its parts as DER.
///
/// All unsafe calls on revocation lists are in this file. They follow the same rule as in
/// `X509Handle`.
@safe struct X509RevocationHandle: ~Copyable {
  private let pointer: OpaquePointer

  /// - Parameter der: one list, with nothing after it.
  /// - Throws: `CERT-SYNTAX`.
  init(_ der: [UInt8]) throws(MigrationError) {
    let pointer = unsafe der.withUnsafeBufferPointer { bytes -> OpaquePointer? in
      var next = bytes.baseAddress
      guard let list = unsafe d2i_X509_CRL(nil, &next, bytes.count) else { return nil }
      if unsafe next == bytes.baseAddress.map({ unsafe $0 + bytes.count }) {
        return unsafe list
      }
      unsafe X509_CRL_free(list)
      return nil
    }
    ERR_clear_error()
    guard let pointer = unsafe pointer else {
      throw MigrationError(.certificateSyntax, "not one whole revocation list in DER")
    }
    unsafe self.pointer = pointer
  }

  deinit { unsafe X509_CRL_free(pointer) }

  /// The whole list.
  var der: [UInt8] { unsafe X509Handle.encoded { unsafe i2d_X509_CRL(pointer, $0) } }
  var issuer: [UInt8] {
    unsafe X509Handle.encoded { unsafe i2d_X509_NAME(X509_CRL_get_issuer(pointer), $0) }
  }
  /// AlgorithmIdentifier of the signature that is outside the signed part.
  var signatureAlgorithm: [UInt8] {
    unsafe X509Handle.encoded {
      var algorithm: UnsafePointer<X509_ALGOR>?
      unsafe X509_CRL_get0_signature(pointer, nil, &algorithm)
      return unsafe i2d_X509_ALGOR(algorithm, $0)
    }
  }

  /// Seconds since 1970; nil when the date is malformed, or when nextUpdate is absent.
  var thisUpdate: Int64? { unsafe X509Handle.seconds(X509_CRL_get0_lastUpdate(pointer)) }
  var nextUpdate: Int64? {
    guard let time = unsafe X509_CRL_get0_nextUpdate(pointer) else { return nil }
    return unsafe X509Handle.seconds(time)
  }

  /// Identifier (DER) and criticality of an extension.
  typealias Extension = (identifier: [UInt8], isCritical: Bool)

  /// The extensions of the list.
  var extensions: [Extension] {
    let count = unsafe X509_CRL_get_ext_count(pointer)
    return (0..<max(count, 0)).map { index in
      unsafe Self.extension(X509_CRL_get_ext(pointer, index))
    }
  }

  private static func `extension`(_ item: OpaquePointer?) -> Extension {
    unsafe (
      X509Handle.encoded { unsafe i2d_ASN1_OBJECT(X509_EXTENSION_get_object(item), $0) },
      X509_EXTENSION_get_critical(item) != 0
    )
  }

  /// Number of entries, which are revoked certificates.
  var count: Int { unsafe Int(max(OPENSSL_sk_num(X509_CRL_get_REVOKED(pointer)), 0)) }

  /// Serial number (DER) of one entry, and the extensions of that entry.
  func entry(at index: Int) -> (serialNumber: [UInt8], extensions: [Extension]) {
    let entries = unsafe X509_CRL_get_REVOKED(pointer)
    let entry = unsafe OpaquePointer(
      OPENSSL_sk_value(entries, Int32(truncatingIfNeeded: index)))
    let count = unsafe X509_REVOKED_get_ext_count(entry)
    return unsafe (
      X509Handle.encoded {
        unsafe i2d_ASN1_INTEGER(X509_REVOKED_get0_serialNumber(entry), $0)
      },
      (0..<max(count, 0)).map { index in
        unsafe Self.extension(X509_REVOKED_get_ext(entry, index))
      }
    )
  }

  /// True when the key in `issuer` made the signature on this list.
  func isSigned(by issuer: borrowing X509Handle) -> Bool {
    guard let key = unsafe X509_get0_pubkey(issuer.pointer) else { return false }
    let status = unsafe X509_CRL_verify(pointer, key)
    ERR_clear_error()
    return status == 1
  }
}
