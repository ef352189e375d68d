internal import CLibCrypto
internal import Errors

/// A NIST prime curve. Scalars and points are passed as bytes.
///
/// Migrations use P-384. The others are here so that the published vectors of HPKE and of
/// deterministic ECDSA, which are for these curves, test the same code.
package enum PrimeCurve: Sendable, CaseIterable {
  case p256
  case p384
  case p521

  /// Bytes of a scalar and of a coordinate.
  package var scalarSize: Int {
    switch self {
    case .p256: 32
    case .p384: 48
    case .p521: 66
    }
  }

  /// Bits of the order of the group.
  var orderBits: Int { self == .p521 ? 521 : scalarSize * 8 }

  /// Bytes of an uncompressed point: 04, X, Y.
  package var pointSize: Int { 1 + 2 * scalarSize }

  var libraryNumber: Int32 {
    switch self {
    case .p256: NID_X9_62_prime256v1
    case .p384: NID_secp384r1
    case .p521: NID_secp521r1
    }
  }
}

/// Owns one `EC_GROUP`.
@safe struct CurveGroup: ~Copyable {
  let curve: PrimeCurve
  private let pointer: OpaquePointer

  init(_ curve: PrimeCurve) throws(MigrationError) {
    guard let pointer = unsafe EC_GROUP_new_by_curve_name(curve.libraryNumber) else {
      throw failure(of: "EC_GROUP_new_by_curve_name")
    }
    self.curve = curve
    unsafe self.pointer = pointer
  }

  deinit { unsafe EC_GROUP_free(pointer) }

  /// The order of the group.
  func order() throws(MigrationError) -> BigNumber {
    let order = try BigNumber()
    try check(unsafe EC_GROUP_get_order(pointer, order.pointer, nil), "EC_GROUP_get_order")
    return order
  }

  /// `scalar` times the generator, as an uncompressed point.
  func multiplyGenerator(_ scalar: borrowing BigNumber) throws(MigrationError) -> [UInt8] {
    let scratch = try BigNumberScratch()
    let product = try unsafe CurvePoint(in: pointer)
    try check(
      unsafe EC_POINT_mul(
        pointer, product.pointer, scalar.pointer, nil, nil, scratch.pointer), "EC_POINT_mul")
    return try encode(product, scratch)
  }

  /// `scalar` times `point`, as an uncompressed point; nil when `point` is not on the curve, or the
  /// product is the point at infinity.
  func multiply(
    _ point: [UInt8], by scalar: borrowing BigNumber
  ) throws(MigrationError) -> [UInt8]? {
    let scratch = try BigNumberScratch()
    let factor = try unsafe CurvePoint(in: pointer)
    guard decode(point, into: factor, scratch) else { return nil }
    let product = try unsafe CurvePoint(in: pointer)
    try check(
      unsafe EC_POINT_mul(
        pointer, product.pointer, nil, factor.pointer, scalar.pointer, scratch.pointer),
      "EC_POINT_mul")
    guard unsafe EC_POINT_is_at_infinity(pointer, product.pointer) == 0 else { return nil }
    return try encode(product, scratch)
  }

  /// Whether `point` is an uncompressed point of the curve, other than the point at infinity.
  func contains(_ point: [UInt8]) throws(MigrationError) -> Bool {
    decode(point, into: try unsafe CurvePoint(in: pointer), try BigNumberScratch())
  }

  private func decode(
    _ bytes: [UInt8], into point: borrowing CurvePoint, _ scratch: borrowing BigNumberScratch
  ) -> Bool {
    guard bytes.count == curve.pointSize, bytes[0] == 4 else { return false }
    // Checks that the point lies on the curve; reads exactly `bytes.count` bytes.
    let status = unsafe EC_POINT_oct2point(
      pointer, point.pointer, bytes, bytes.count, scratch.pointer)
    if status != 1 { ERR_clear_error() }
    return status == 1
  }

  private func encode(
    _ point: borrowing CurvePoint, _ scratch: borrowing BigNumberScratch
  ) throws(MigrationError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: curve.pointSize)
    let written = unsafe EC_POINT_point2oct(
      pointer, point.pointer, POINT_CONVERSION_UNCOMPRESSED, &bytes, bytes.count, scratch.pointer)
    guard written == bytes.count else { throw failure(of: "EC_POINT_point2oct") }
    return bytes
  }
}

/// Owns one `EC_POINT`.
@safe struct CurvePoint: ~Copyable {
  let pointer: OpaquePointer

  init(in group: OpaquePointer) throws(MigrationError) {
    guard let pointer = unsafe EC_POINT_new(group) else { throw failure(of: "EC_POINT_new") }
    unsafe self.pointer = pointer
  }

  deinit { unsafe EC_POINT_clear_free(pointer) }
}
