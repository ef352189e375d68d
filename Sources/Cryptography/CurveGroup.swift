internal import Bytes
internal import CLibCrypto

// Every pointer in this file is owned by the struct that holds it and outlives the call it is passed
// to; every length passed is the length of the region passed with it.

/// A curve's group and the arithmetic modulo its order, over libcrypto's `EC_POINT` and `BN` calls.
///
/// One per curve and process, never freed, immutable once made: all threads share it.
@safe struct CurveGroup: @unchecked Sendable {
  let pointer: OpaquePointer
  /// The group order, a prime, and its Montgomery form.
  private let order: OpaquePointer
  private let montgomery: OpaquePointer
  private let orderMinusTwo: OpaquePointer
  private let parameters: CurveParameters

  private static let p256 = CurveGroup(.p256, NID_X9_62_prime256v1)
  private static let p384 = CurveGroup(.p384, NID_secp384r1)
  private static let p521 = CurveGroup(.p521, NID_secp521r1)

  private init?(_ parameters: CurveParameters, _ identifier: Int32) {
    guard
      let group = unsafe EC_GROUP_new_by_curve_name(identifier),
      let order = unsafe EC_GROUP_get0_order(group),
      let montgomery = unsafe BN_MONT_CTX_new(),
      let scratch = unsafe BN_CTX_new(),
      unsafe BN_MONT_CTX_set(montgomery, order, scratch) == 1,
      let orderMinusTwo = unsafe BN_dup(order),
      unsafe BN_sub_word(orderMinusTwo, 2) == 1
    else { return nil }
    unsafe BN_CTX_free(scratch)
    unsafe self.pointer = group
    unsafe self.order = order
    unsafe self.montgomery = montgomery
    unsafe self.orderMinusTwo = orderMinusTwo
    self.parameters = parameters
  }

  static func of(_ parameters: CurveParameters) throws(MigrationError) -> CurveGroup {
    let group =
      switch parameters.name {
      case .p256: p256
      case .p384: p384
      case .p521: p521
      }
    guard let group else { throw failure(of: "EC_GROUP_new_by_curve_name") }
    return group
  }

  // MARK: Scalars

  /// Whether `scalar` is a private key, a nonce or a signature half: at least 1, below the order.
  func isValid(_ scalar: borrowing BigNumber) -> Bool {
    unsafe !scalar.isZero && BN_ucmp(scalar.pointer, order) < 0
  }

  /// `bits2int` of RFC 6979 section 2.3.2: the leftmost bits of `bytes`, as many as the order has.
  func scalar(fromBits bytes: [UInt8]) throws(MigrationError) -> BigNumber {
    let number = try BigNumber(bigEndian: bytes.span)
    let excess = bytes.count * 8 - parameters.orderBits
    if excess > 0 {
      let status = unsafe BN_rshift(
        number.pointer, number.pointer, Int32(truncatingIfNeeded: excess))
      try check(status, "BN_rshift")
    }
    return number
  }

  /// `value` modulo the order.
  func reduced(_ value: borrowing BigNumber) throws(MigrationError) -> BigNumber {
    let scratch = try Scratch()
    let result = try BigNumber()
    try check(
      unsafe BN_nnmod(result.pointer, value.pointer, order, scratch.pointer), "BN_nnmod")
    return result
  }

  /// `left * right` modulo the order; both are below it.
  func product(
    _ left: borrowing BigNumber, _ right: borrowing BigNumber
  ) throws(MigrationError) -> BigNumber {
    let scratch = try Scratch()
    let result = try BigNumber()
    // The Montgomery form of one factor cancels the division that Montgomery's product brings.
    try check(
      unsafe BN_to_montgomery(result.pointer, left.pointer, montgomery, scratch.pointer),
      "BN_to_montgomery")
    try check(
      unsafe BN_mod_mul_montgomery(
        result.pointer, result.pointer, right.pointer, montgomery, scratch.pointer),
      "BN_mod_mul_montgomery")
    return result
  }

  /// `left + right` modulo the order; both are below it.
  func sum(
    _ left: borrowing BigNumber, _ right: borrowing BigNumber
  ) throws(MigrationError) -> BigNumber {
    let result = try BigNumber()
    try check(
      unsafe BN_mod_add_quick(result.pointer, left.pointer, right.pointer, order),
      "BN_mod_add_quick")
    return result
  }

  /// The inverse of `scalar` modulo the order, as `scalar ^ (order - 2)`: an exponentiation has a
  /// variant in constant time, Euclid's algorithm has none.
  func inverse(_ scalar: borrowing BigNumber) throws(MigrationError) -> BigNumber {
    let scratch = try Scratch()
    let result = try BigNumber()
    try check(
      unsafe BN_mod_exp_mont_consttime(
        result.pointer, scalar.pointer, orderMinusTwo, order, scratch.pointer, montgomery),
      "BN_mod_exp_mont_consttime")
    return result
  }

  // MARK: Points

  /// The point that `bytes` writes as `04 || X || Y`, or nil when it is not on the curve.
  func point(_ bytes: [UInt8]) throws(MigrationError) -> Point? {
    guard bytes.count == parameters.pointSize, bytes.first == 4 else { return nil }
    let scratch = try Scratch()
    let point = try Point(of: self)
    // Checks the curve equation, and that both coordinates are below the prime.
    guard
      unsafe EC_POINT_oct2point(pointer, point.pointer, bytes, bytes.count, scratch.pointer) == 1
    else {
      ERR_clear_error()
      return nil
    }
    return point
  }

  /// `scalar` times the base point, in constant time.
  func basePoint(times scalar: borrowing BigNumber) throws(MigrationError) -> Point {
    let scratch = try Scratch()
    let result = try Point(of: self)
    try check(
      unsafe EC_POINT_mul(pointer, result.pointer, scalar.pointer, nil, nil, scratch.pointer),
      "EC_POINT_mul")
    return result
  }

  /// `scalar` times `point`, in constant time.
  func multiply(
    _ point: borrowing Point, by scalar: borrowing BigNumber
  ) throws(MigrationError) -> Point {
    let scratch = try Scratch()
    let result = try Point(of: self)
    try check(
      unsafe EC_POINT_mul(
        pointer, result.pointer, nil, point.pointer, scalar.pointer, scratch.pointer),
      "EC_POINT_mul")
    return result
  }

  /// `base` times the base point plus `factor` times `point`. Not in constant time: public values.
  func sum(
    base: borrowing BigNumber, _ point: borrowing Point, times factor: borrowing BigNumber
  ) throws(MigrationError) -> Point {
    let scratch = try Scratch()
    let result = try Point(of: self)
    try check(
      unsafe EC_POINT_mul(
        pointer, result.pointer, base.pointer, point.pointer, factor.pointer, scratch.pointer),
      "EC_POINT_mul")
    return result
  }

  /// The x coordinate, or nil at infinity.
  func x(of point: borrowing Point) throws(MigrationError) -> BigNumber? {
    guard unsafe EC_POINT_is_at_infinity(pointer, point.pointer) == 0 else { return nil }
    let scratch = try Scratch()
    let x = try BigNumber()
    try check(
      unsafe EC_POINT_get_affine_coordinates(
        pointer, point.pointer, x.pointer, nil, scratch.pointer),
      "EC_POINT_get_affine_coordinates")
    return x
  }

  /// `04 || X || Y`.
  func bytes(of point: borrowing Point) throws(MigrationError) -> [UInt8] {
    let scratch = try Scratch()
    var bytes = [UInt8](repeating: 0, count: parameters.pointSize)
    let written = unsafe bytes.withUnsafeMutableBufferPointer {
      unsafe EC_POINT_point2oct(
        pointer, point.pointer, POINT_CONVERSION_UNCOMPRESSED, $0.baseAddress, $0.count,
        scratch.pointer)
    }
    guard written == bytes.count else { throw failure(of: "EC_POINT_point2oct") }
    return bytes
  }
}
