internal import CLibCrypto
package import Errors

/// HMAC (RFC 2104) over a SHA-2 function.
package enum HMAC {
  /// The authentication code of `message` under `key`, as long as a digest.
  ///
  /// - Throws: `INTERNAL-CRYPTOGRAPHY` when libcrypto fails, which no input can cause.
  package static func authenticate(
    _ message: [UInt8], key: [UInt8], using algorithm: DigestAlgorithm
  ) throws(MigrationError) -> [UInt8] {
    // HMAC pads a short key with zeros, so a key of one zero byte is equivalent to the empty key,
    // which libcrypto would take for a missing key.
    let key = key.isEmpty ? [0] : key
    var code = [UInt8](repeating: 0, count: algorithm.size)
    // Each region is given with its own length; `code` is as long as the digest.
    let written = unsafe code.withUnsafeMutableBufferPointer { code in
      unsafe EVP_Q_mac(
        nil, "HMAC", nil, algorithm.libraryName, nil, key, key.count, message, message.count,
        code.baseAddress, code.count, nil)
    }
    guard unsafe written != nil else { throw failure(of: "EVP_Q_mac") }
    return code
  }
}
