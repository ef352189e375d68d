/// One field of a record: bytes in wire order, at any address.
///
/// A conforming type has an alignment of one byte, and every sequence of bytes is a valid value.
@usableFromInline
package protocol WireField: BitwiseCopyable, Sendable {}

extension WireField {
  /// Whether every byte is zero, as reserved fields must be.
  @inlinable package var isZero: Bool {
    unsafe Swift.withUnsafeBytes(of: self) { bytes in unsafe bytes.allSatisfy { $0 == 0 } }
  }

  /// Bytes of the field.
  @inlinable package static var size: Int { MemoryLayout<Self>.size }

  /// The bytes of the field.
  package var bytes: [UInt8] { unsafe Swift.withUnsafeBytes(of: self) { unsafe Array($0) } }
}

/// The byte order of a number.
@usableFromInline
package protocol WireOrder: Sendable {
  /// Converts between the host's byte order and this one: the result, in the host's memory, has the
  /// bytes of `value` in a record. The conversion is its own inverse.
  static func swapped<Value: FixedWidthInteger>(_ value: Value) -> Value
}

/// The most significant byte first, as in QEMU's containers and in our records.
@usableFromInline
package enum BigEndian: WireOrder {
  @inlinable package static func swapped<Value: FixedWidthInteger>(_ value: Value) -> Value {
    value.bigEndian
  }
}

/// The least significant byte first, as in AMD's structures.
@usableFromInline
package enum LittleEndian: WireOrder {
  @inlinable package static func swapped<Value: FixedWidthInteger>(_ value: Value) -> Value {
    value.littleEndian
  }
}

/// An unsigned number of `size` bytes. It is used only by the type aliases below, which pair each
/// size with its type.
@usableFromInline
package struct WireNumber<
  Value: FixedWidthInteger & UnsignedInteger & BitwiseCopyable & Sendable, Order: WireOrder,
  let size: Int
>: WireField {
  @usableFromInline var stored: InlineArray<size, UInt8>

  @inlinable package init(_ value: Value) {
    // Both have `size` bytes.
    stored = unsafe unsafeBitCast(Order.swapped(value), to: InlineArray<size, UInt8>.self)
  }

  /// The number in the host's byte order.
  @inlinable package var value: Value {
    get {
      // Both have `size` bytes.
      unsafe Order.swapped(unsafeBitCast(stored, to: Value.self))
    }
    set { self = Self(newValue) }
  }
}

extension WireNumber: Equatable {
  @inlinable package static func == (one: Self, other: Self) -> Bool { one.value == other.value }
}

/// A number of one byte.
package typealias U8 = WireNumber<UInt8, BigEndian, 1>
/// A big-endian number of two bytes.
package typealias BE16 = WireNumber<UInt16, BigEndian, 2>
/// A big-endian number of four bytes.
package typealias BE32 = WireNumber<UInt32, BigEndian, 4>
/// A big-endian number of eight bytes.
package typealias BE64 = WireNumber<UInt64, BigEndian, 8>
/// A little-endian number of two bytes.
package typealias LE16 = WireNumber<UInt16, LittleEndian, 2>
/// A little-endian number of four bytes.
package typealias LE32 = WireNumber<UInt32, LittleEndian, 4>
/// A little-endian number of eight bytes.
package typealias LE64 = WireNumber<UInt64, LittleEndian, 8>

/// A field of `count` bytes that is not a number: a digest, a key, a tag, a text, or reserved
/// bytes.
@usableFromInline
package struct WireBytes<let count: Int>: WireField {
  @usableFromInline var stored: InlineArray<count, UInt8>

  /// A field of zeros.
  @inlinable package init() { stored = InlineArray(repeating: 0) }

  /// Precondition: there are exactly `count` bytes.
  @inlinable package init(_ bytes: [UInt8]) {
    self.init()
    array = bytes
  }

  /// The bytes. Precondition for setting: there are exactly `count`.
  @inlinable package var array: [UInt8] {
    get { Array(copying: stored.span) }
    set {
      precondition(newValue.count == count)
      for index in 0..<count { stored[index] = newValue[index] }
    }
  }

  /// Index of the first byte that is not zero; nil when all are zero.
  @inlinable package var firstNonZero: Int? {
    for index in 0..<count where stored[index] != 0 { return index }
    return nil
  }

  /// One byte of the field. Precondition: `index` is from 0 to `count` - 1.
  @inlinable package subscript(index: Int) -> UInt8 {
    get { stored[index] }
    set { stored[index] = newValue }
  }
}

/// Several fields of one kind, one after the other.
@usableFromInline
package struct WireList<Element: WireField, let count: Int>: WireField {
  @usableFromInline var stored: InlineArray<count, Element>

  /// The elements. Precondition for setting: there are exactly `count`.
  @inlinable package var array: [Element] {
    get { stored.indices.map { stored[$0] } }
    set {
      precondition(newValue.count == count)
      for index in 0..<count { stored[index] = newValue[index] }
    }
  }
}
