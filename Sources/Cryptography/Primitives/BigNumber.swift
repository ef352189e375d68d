internal import CLibCrypto
internal import Errors
internal import Wire

/// Owns one `BIGNUM`. Freeing clears it, since it may hold a private key.
///
/// Each unsafe block of the arithmetic below is one call on numbers that this type owns.
@safe struct BigNumber: ~Copyable {
  let pointer: OpaquePointer

  init() throws(MigrationError) { try self.init([]) }

  /// The big-endian number in `bytes`; zero when there are none.
  init(_ bytes: [UInt8]) throws(MigrationError) {
    guard let pointer = unsafe BN_secure_new() else { throw failure(of: "BN_secure_new") }
    unsafe BN_set_flags(pointer, BN_FLG_CONSTTIME)
    // Reads exactly `bytes.count` bytes.
    guard unsafe BN_bin2bn(bytes, Int32(bytes.count), pointer) != nil else {
      unsafe BN_clear_free(pointer)
      throw failure(of: "BN_bin2bn")
    }
    unsafe self.pointer = pointer
  }

  deinit { unsafe BN_clear_free(pointer) }

  var isZero: Bool { unsafe BN_is_zero(pointer) == 1 }

  /// Whether this number is less than `other`.
  func isLess(than other: borrowing BigNumber) -> Bool {
    unsafe BN_cmp(pointer, other.pointer) < 0
  }

  /// The number as `count` bytes, most significant first.
  func bytes(_ count: Int) throws(MigrationError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    // BN_bn2binpad writes exactly `count` bytes or fails.
    guard unsafe BN_bn2binpad(pointer, &bytes, Int32(count)) == Int32(count) else {
      throw failure(of: "BN_bn2binpad")
    }
    return bytes
  }

  /// Shifts the number right by `count` bits.
  func shiftRight(_ count: Int) throws(MigrationError) {
    try check(unsafe BN_rshift(pointer, pointer, Int32(count)), "BN_rshift")
  }
}

/// Owns one `BN_CTX`: temporary numbers of a calculation.
@safe struct BigNumberScratch: ~Copyable {
  let pointer: OpaquePointer

  init() throws(MigrationError) {
    guard let pointer = unsafe BN_CTX_secure_new() else { throw failure(of: "BN_CTX_secure_new") }
    unsafe self.pointer = pointer
  }

  deinit { unsafe BN_CTX_free(pointer) }
}

/// Arithmetic modulo one number.
struct ModularArithmetic: ~Copyable {
  let modulus: BigNumber
  private let scratch: BigNumberScratch

  init(modulus: consuming BigNumber) throws(MigrationError) {
    scratch = try BigNumberScratch()
    self.modulus = modulus
  }

  func reduce(_ value: borrowing BigNumber) throws(MigrationError) -> BigNumber {
    let result = try BigNumber()
    try check(
      unsafe BN_nnmod(result.pointer, value.pointer, modulus.pointer, scratch.pointer), "BN_nnmod")
    return result
  }

  func add(
    _ left: borrowing BigNumber, _ right: borrowing BigNumber
  ) throws(MigrationError) -> BigNumber {
    let result = try BigNumber()
    try check(
      unsafe BN_mod_add(
        result.pointer, left.pointer, right.pointer, modulus.pointer, scratch.pointer), "BN_mod_add"
    )
    return result
  }

  /// The modulus minus `value`.
  func negate(_ value: borrowing BigNumber) throws(MigrationError) -> BigNumber {
    let result = try BigNumber()
    try check(unsafe BN_sub(result.pointer, modulus.pointer, value.pointer), "BN_sub")
    return result
  }

  func multiply(
    _ left: borrowing BigNumber, _ right: borrowing BigNumber
  ) throws(MigrationError) -> BigNumber {
    let result = try BigNumber()
    try check(
      unsafe BN_mod_mul(
        result.pointer, left.pointer, right.pointer, modulus.pointer, scratch.pointer), "BN_mod_mul"
    )
    return result
  }

  func invert(_ value: borrowing BigNumber) throws(MigrationError) -> BigNumber {
    let result = try BigNumber()
    guard
      unsafe BN_mod_inverse(result.pointer, value.pointer, modulus.pointer, scratch.pointer) != nil
    else { throw failure(of: "BN_mod_inverse") }
    return result
  }
}
