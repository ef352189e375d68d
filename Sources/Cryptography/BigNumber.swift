internal import Bytes
internal import CLibCrypto

// Every pointer in this file is owned by the struct that holds it, non-nil from `init` to `deinit`;
// every length passed is the length of the region passed with it.

/// Owns one `BIGNUM`, wiped when freed. All of them are treated as secret: libcrypto then takes the
/// code paths whose time does not depend on the value, where it has any.
///
/// Sendable because nothing changes a number once the function that computed it has returned.
@safe struct BigNumber: ~Copyable, @unchecked Sendable {
  let pointer: OpaquePointer

  /// Zero.
  init() throws(MigrationError) {
    guard let pointer = unsafe BN_new() else { throw failure(of: "BN_new") }
    unsafe BN_set_flags(pointer, BN_FLG_CONSTTIME)
    unsafe self.pointer = pointer
  }

  /// The number `bytes` writes, most significant byte first.
  init(bigEndian bytes: Span<UInt8>) throws(MigrationError) {
    let number = try BigNumber()
    let read = unsafe bytes.withUnsafeBufferPointer {
      unsafe BN_bin2bn($0.baseAddress, Int32(truncatingIfNeeded: $0.count), number.pointer)
    }
    guard unsafe read != nil else { throw failure(of: "BN_bin2bn") }
    self = number
  }

  deinit { unsafe BN_clear_free(pointer) }

  var isZero: Bool { unsafe BN_is_zero(pointer) == 1 }

  /// The number in `count` bytes, most significant first, zeros before it.
  func bytes(_ count: Int) throws(MigrationError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    let written = unsafe bytes.withUnsafeMutableBufferPointer {
      unsafe BN_bn2binpad(pointer, $0.baseAddress, Int32(truncatingIfNeeded: count))
    }
    guard Int(written) == count else { throw failure(of: "BN_bn2binpad") }
    return bytes
  }
}

/// Owns the scratch numbers of one computation.
@safe struct Scratch: ~Copyable {
  let pointer: OpaquePointer

  init() throws(MigrationError) {
    guard let pointer = unsafe BN_CTX_new() else { throw failure(of: "BN_CTX_new") }
    unsafe self.pointer = pointer
  }

  // BN_CTX_free wipes the scratch numbers.
  deinit { unsafe BN_CTX_free(pointer) }
}

/// Owns one point of a curve, wiped when freed.
@safe struct Point: ~Copyable {
  let pointer: OpaquePointer

  /// The point at infinity.
  init(of group: CurveGroup) throws(MigrationError) {
    guard let pointer = unsafe EC_POINT_new(group.pointer) else {
      throw failure(of: "EC_POINT_new")
    }
    unsafe self.pointer = pointer
  }

  deinit { unsafe EC_POINT_clear_free(pointer) }
}
