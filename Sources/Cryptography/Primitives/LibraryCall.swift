internal import CLibCrypto
internal import Errors

/// The error for a libcrypto call that failed although its arguments were valid, because of a lack
/// of memory or a library without the algorithm. Clears libcrypto's error queue of this thread.
///
/// - Parameter call: the C function's name.
func failure(of call: String) -> MigrationError {
  let code = ERR_get_error()
  ERR_clear_error()
  // The string is static in libcrypto, or nil for a code it does not know.
  let reason = unsafe ERR_reason_error_string(code).map { unsafe String(cString: $0) }
  return MigrationError(.cryptography, "libcrypto refused \(call)", got: reason)
}

/// Throws unless `status` is 1, which means success in libcrypto.
@inline(__always)
func check(_ status: Int32, _ call: String) throws(MigrationError) {
  guard status == 1 else { throw failure(of: call) }
}
