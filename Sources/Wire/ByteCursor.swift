public import Errors

/// Reads fixed-width fields from borrowed bytes and knows their offset in the stream.
///
/// Every read is checked against the bytes available; none traps. Fields of QEMU's container are
/// big-endian, fields of AMD's structures little-endian.
@usableFromInline
package struct ByteCursor: ~Escapable {
  @usableFromInline let bytes: Span<UInt8>
  @usableFromInline let base: UInt64
  @usableFromInline var next = 0

  /// - Parameters:
  ///   - bytes: the bytes to read.
  ///   - base: offset in the stream or file of the first byte.
  @inlinable @_lifetime(copy bytes)
  package init(_ bytes: Span<UInt8>, at base: UInt64 = 0) {
    self.bytes = bytes
    self.base = base
  }

  /// Offset in the stream or file of the next byte.
  @inlinable package var offset: UInt64 { base + UInt64(next) }

  /// Bytes not read yet.
  @inlinable package var remaining: Int { bytes.count - next }

  /// Reads one big-endian field.
  /// - Throws: `STREAM-TRUNCATED` when fewer bytes are left.
  @inlinable package mutating func read<Field: FixedWidthInteger & UnsignedInteger>(
    _: Field.Type = Field.self
  ) throws(MigrationError) -> Field {
    let encoded = try take(Field.bitWidth / 8)
    var value: Field = 0
    for index in encoded.indices {
      value = value << 8 | Field(truncatingIfNeeded: encoded[index])
    }
    return value
  }

  /// Reads one little-endian field.
  /// - Throws: `STREAM-TRUNCATED` when fewer bytes are left.
  @inlinable
  package mutating func readLittleEndian<
    Field: FixedWidthInteger & UnsignedInteger
  >(
    _: Field.Type = Field.self
  ) throws(MigrationError) -> Field {
    Field(try read(Field.self).byteSwapped)
  }

  /// Borrows the next `count` bytes without copying them.
  /// - Throws: `STREAM-TRUNCATED` when fewer bytes are left.
  @inlinable @_lifetime(copy self)
  package mutating func take(_ count: Int) throws(MigrationError) -> Span<UInt8> {
    guard count >= 0, count <= remaining else {
      throw truncated(needed: count)
    }
    defer { next += count }
    return bytes.extracting(next..<next + count)
  }

  /// Copies the next `count` bytes.
  /// - Throws: `STREAM-TRUNCATED` when fewer bytes are left; then nothing has been allocated.
  @inlinable package mutating func takeArray(_ count: Int) throws(MigrationError) -> [UInt8] {
    Array(copying: try take(count))
  }

  @usableFromInline func truncated(needed: Int) -> MigrationError {
    MigrationError(
      .streamTruncated, "data ends early", at: offset, expected: "\(needed) bytes",
      got: "\(remaining)")
  }
}

extension UInt64 {
  /// The big-endian number in `bytes`, at most 8 of them.
  package init(bigEndianBytes bytes: some Sequence<UInt8>) {
    self = bytes.reduce(0) { $0 << 8 | UInt64($1) }
  }
}

extension Array where Element == UInt8 {
  /// Appends `value`, most significant byte first.
  @inlinable package mutating func append<Field: FixedWidthInteger & UnsignedInteger>(
    bigEndian value: Field
  ) {
    for shift in stride(from: Field.bitWidth - 8, through: 0, by: -8) {
      append(UInt8(truncatingIfNeeded: value >> Field(shift)))
    }
  }

  /// Appends `value`, least significant byte first.
  @inlinable package mutating func append<Field: FixedWidthInteger & UnsignedInteger>(
    littleEndian value: Field
  ) {
    for shift in stride(from: 0, to: Field.bitWidth, by: 8) {
      append(UInt8(truncatingIfNeeded: value >> Field(shift)))
    }
  }
}
