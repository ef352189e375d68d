internal import CLibCrypto
internal import Errors

/// Owns one libcrypto `X509`, and returns its parts as DER.
///
/// All unsafe calls on certificates are in this file. Each passes a pointer that this type owns, or
/// one that by libcrypto's documentation belongs to the certificate and that is used only before
/// the method returns.
@safe struct X509Handle: ~Copyable {
  /// Used here and by `X509RevocationHandle` to check a signature; never stored elsewhere.
  let pointer: OpaquePointer

  /// - Parameter der: one certificate, with nothing after it.
  /// - Throws: `CERT-SYNTAX`.
  init(_ der: [UInt8]) throws(MigrationError) {
    let pointer = unsafe der.withUnsafeBufferPointer { bytes -> OpaquePointer? in
      var next = bytes.baseAddress
      guard let certificate = unsafe d2i_X509(nil, &next, bytes.count) else { return nil }
      if unsafe next == bytes.baseAddress.map({ unsafe $0 + bytes.count }) {
        return unsafe certificate
      }
      unsafe X509_free(certificate)
      return nil
    }
    // Without this, a later caller that reads libcrypto's error queue would find the errors of this
    // call.
    ERR_clear_error()
    guard let pointer = unsafe pointer else {
      throw MigrationError(
        .certificateSyntax, "not one whole certificate in DER", got: DERValue.otherContent(der))
    }
    unsafe self.pointer = pointer
  }

  deinit { unsafe X509_free(pointer) }

  /// The DER that `encoder`, one of libcrypto's `i2d` functions, writes. The first call only
  /// returns the length.
  static func encoded(
    _ encoder: (UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>?) -> Int32
  ) -> [UInt8] {
    let count = encoder(nil)
    guard count > 0 else { return [] }
    return unsafe [UInt8](unsafeUninitializedCapacity: Int(count)) { buffer, written in
      var next = buffer.baseAddress
      written = unsafe encoder(&next) == count ? Int(count) : 0
    }
  }

  /// The whole certificate.
  var der: [UInt8] { unsafe Self.encoded { unsafe i2d_X509(pointer, $0) } }
  var subject: [UInt8] {
    unsafe Self.encoded { unsafe i2d_X509_NAME(X509_get_subject_name(pointer), $0) }
  }
  var issuer: [UInt8] {
    unsafe Self.encoded { unsafe i2d_X509_NAME(X509_get_issuer_name(pointer), $0) }
  }
  /// SubjectPublicKeyInfo.
  var publicKey: [UInt8] {
    unsafe Self.encoded { unsafe i2d_X509_PUBKEY(X509_get_X509_PUBKEY(pointer), $0) }
  }
  var serialNumber: [UInt8] {
    unsafe Self.encoded { unsafe i2d_ASN1_INTEGER(X509_get0_serialNumber(pointer), $0) }
  }
  /// AlgorithmIdentifier of the signature that is outside the signed part.
  var signatureAlgorithm: [UInt8] {
    unsafe Self.encoded {
      var algorithm: UnsafePointer<X509_ALGOR>?
      unsafe X509_get0_signature(nil, &algorithm, pointer)
      return unsafe i2d_X509_ALGOR(algorithm, $0)
    }
  }

  /// As encoded: 2 is X.509 v3.
  var version: Int { unsafe Int(X509_get_version(pointer)) }

  /// Seconds since 1970; nil when the date is malformed.
  var notBefore: Int64? { unsafe Self.seconds(X509_get0_notBefore(pointer)) }
  var notAfter: Int64? { unsafe Self.seconds(X509_get0_notAfter(pointer)) }

  static func seconds(_ time: UnsafePointer<ASN1_TIME>?) -> Int64? {
    var parts = unsafe tm()
    guard unsafe ASN1_TIME_to_tm(time, &parts) == 1 else { return nil }
    let days = CivilDate.days(
      year: Int64(unsafe parts.tm_year) + 1900, month: Int64(unsafe parts.tm_mon) + 1,
      day: Int64(unsafe parts.tm_mday))
    return unsafe days * 86_400 + Int64(parts.tm_hour) * 3600 + Int64(parts.tm_min) * 60
      + Int64(parts.tm_sec)
  }

  var extensionCount: Int { unsafe Int(X509_get_ext_count(pointer)) }

  /// Identifier (DER), criticality and octets of one extension.
  func certificateExtension(at index: Int) -> (
    identifier: [UInt8], isCritical: Bool, value: [UInt8]
  ) {
    let item = unsafe X509_get_ext(pointer, Int32(truncatingIfNeeded: index))
    let value = unsafe X509_EXTENSION_get_data(item)
    let octets = unsafe UnsafeBufferPointer(
      start: ASN1_STRING_get0_data(value), count: Int(max(ASN1_STRING_length(value), 0)))
    return unsafe (
      Self.encoded { unsafe i2d_ASN1_OBJECT(X509_EXTENSION_get_object(item), $0) },
      X509_EXTENSION_get_critical(item) != 0, Array(octets)
    )
  }

  /// True when the key in `issuer` made the signature on this certificate.
  func isSigned(by issuer: borrowing X509Handle) -> Bool {
    guard let key = unsafe X509_get0_pubkey(issuer.pointer) else { return false }
    let status = unsafe X509_verify(pointer, key)
    ERR_clear_error()
    return status == 1
  }
}
